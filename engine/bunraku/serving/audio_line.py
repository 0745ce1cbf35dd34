"""The WebSocket that carries a browser's voice: a block in, a block back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bunraku.errors import BunrakuError, OverloadError
from bunraku.serving.audio_message import read_audio_message, write_audio_message
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.faults import Faults
from bunraku.serving.limits import AUDIO_BURST, AUDIO_MESSAGES_PER_S
from bunraku.serving.metrics import ServeMetrics
from bunraku.streaming.rate_limit import RateLimit

POLICY = 1008


class AudioLine:
    """socket: a Starlette WebSocket, not yet accepted. One a session at a time."""

    def __init__(self, socket: Any, voice: BrowserVoice, metrics: ServeMetrics) -> None:
        self._socket = socket
        self._voice = voice
        self._metrics = metrics
        self._faults = Faults()
        self._rate = RateLimit(AUDIO_MESSAGES_PER_S, AUDIO_BURST)

    async def run(self) -> None:
        """Until the browser ends it, or the session does. Nothing is queued here: what the browser
        sends faster than it is processed waits in its own socket, and the page throws away what is
        old."""
        await self._socket.accept()
        self._voice.restart()
        while not self._voice.closed:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                if not self._rate.allows(time.monotonic_ns()):
                    raise OverloadError(f"more than {AUDIO_MESSAGES_PER_S:.0f} blocks in a second")
                block = read_audio_message(message.get("bytes") or b"")
                answer = await asyncio.wrap_future(self._voice.submit(block))
            except BunrakuError as error:
                self._faults.add()
                self._metrics.count_fault()
                await self._socket.send_json({"type": "error", "text": str(error)})
                if self._faults.too_many:
                    await self._socket.close(POLICY, "too many malformed messages")
                    return
                continue
            await self._socket.send_bytes(write_audio_message(answer))
