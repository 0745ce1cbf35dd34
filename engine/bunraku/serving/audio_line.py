"""The WebSocket that carries a browser's voice: a block in, a block back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bunraku.errors import BunrakuError, OverloadError, UserInputError
from bunraku.serving.audio_message import read_audio_message, write_audio_message
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.faults import Faults
from bunraku.serving.limits import AUDIO_BURST, AUDIO_MESSAGES_PER_S
from bunraku.serving.metrics import ServeMetrics
from bunraku.serving.visitor_text import for_visitor
from bunraku.streaming.rate_limit import RateLimit

GOING_AWAY, POLICY = 1001, 1008
HUNG_TIMEOUT_S = 2.0


class AudioLine:
    """socket: a Starlette WebSocket, not yet accepted. One a session at a time. on_failure: told
    that the effects written in Python must go, because one of them failed or hangs."""

    def __init__(
        self,
        socket: Any,
        voice: BrowserVoice,
        metrics: ServeMetrics,
        on_failure: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._voice = voice
        self._on_failure = on_failure
        self._metrics = metrics
        self._faults = Faults()
        self._rate = RateLimit(AUDIO_MESSAGES_PER_S, AUDIO_BURST)

    async def run(self) -> None:
        """Until the browser ends it, or the session does. Nothing is queued here: what the browser
        sends faster than it is processed waits in its own socket; what is a quarter of a second old
        gets no answer and counts as lost."""
        await self._socket.accept()
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "it is a task's"

        def end() -> None:
            loop.call_soon_threadsafe(task.cancel)

        self._voice.restart()
        self._voice.ends.append(end)
        try:
            await self._serve()
        except asyncio.CancelledError:
            if not self._voice.closed:
                raise
            await self._socket.close(GOING_AWAY, "the session has ended")
        finally:
            self._voice.ends.remove(end)

    async def _serve(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                answer = await self._answer(message.get("bytes") or b"")
            except BunrakuError as error:
                self._faults.add()
                self._metrics.count_fault()
                await self._socket.send_json({"type": "error", "text": for_visitor(str(error))})
                if self._faults.too_many:
                    await self._socket.close(POLICY, "too many malformed messages")
                    return
            else:
                if answer is not None:
                    await self._socket.send_bytes(answer)

    async def _answer(self, data: bytes) -> bytes | None:
        """None: too old to be played. Raises BunrakuError."""
        if not self._rate.allows(time.monotonic_ns()):
            raise OverloadError(f"more than {AUDIO_MESSAGES_PER_S:.0f} blocks in a second")
        block = read_audio_message(data)
        if self._voice.is_too_old(block):
            return None
        try:
            answer = await asyncio.wait_for(
                asyncio.wrap_future(self._voice.submit(block)), HUNG_TIMEOUT_S
            )
        except (UserInputError, OverloadError):
            raise
        except Exception as error:  # whatever somebody's effect raises
            self._on_failure()
            what = "hangs" if isinstance(error, TimeoutError) else f"failed ({error!r:.200})"
            raise BunrakuError(f"an effect of the voice {what}: those in Python are off") from error
        return write_audio_message(answer)
