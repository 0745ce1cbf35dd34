"""The WebSocket that is a session: JSON both ways. The session begins and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any

from bunraku.effects.audio.native_model import pack_names
from bunraku.effects.audio.python_effect import catalogue as audio_catalogue
from bunraku.errors import BunrakuError, OverloadError
from bunraku.formats.control_action import Mute, Record
from bunraku.serving import messages, page_state
from bunraku.serving.effect_schema import effect_schemas, readable
from bunraku.serving.faults import Faults
from bunraku.serving.limits import CONTROL_BURST, CONTROL_MESSAGES_PER_S, MOST_WAITING_MESSAGES
from bunraku.serving.message_queue import MessageQueue
from bunraku.serving.page_actions import actions_of
from bunraku.serving.visitor import Visitor
from bunraku.serving.visitor_text import for_visitor
from bunraku.serving.visitors import Visitors
from bunraku.streaming.rate_limit import RateLimit

FIGURES_S = 0.1
TRY_LATER, POLICY = 1013, 1008
LOG = logging.getLogger(__name__)
"""For faults of our own, with their trace: nobody else is told of them in full."""


class ControlLine:
    """socket: a Starlette WebSocket, not yet accepted."""

    def __init__(self, socket: Any, visitors: Visitors) -> None:
        self._socket = socket
        self._visitors = visitors
        self._faults = Faults()
        self._rate = RateLimit(CONTROL_MESSAGES_PER_S, CONTROL_BURST)
        self._waiting: deque[dict[str, Any]] = deque()
        self._something = asyncio.Event()
        self._queue = MessageQueue()
        self._shown: dict[str, Any] = {}
        self._tag = 0  # of the newest chain that this page asked for and that was dealt with

    async def run(self) -> None:
        """Until the tab closes, or is too often wrong."""
        await self._socket.accept()
        try:
            visitor = self._visitors.enter(self._say)
        except OverloadError as error:
            await self._socket.send_json({"type": "error", "text": for_visitor(str(error))})
            await self._socket.close(TRY_LATER)
            return
        except BunrakuError as error:
            await self._socket.send_json({"type": "error", "text": for_visitor(str(error))})
            await self._socket.close(POLICY)
            return
        works = (self._write(), self._keep_told(visitor), self._work(visitor))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await self._read(visitor)
        finally:
            for task in tasks:
                task.cancel()
            await self._visitors.leave(visitor)

    async def _read(self, visitor: Visitor) -> None:
        """Whatever takes long is another task's, so that a mute, a ping and the end of the tab do
        not wait for it."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._take(visitor, message.get("text"))
            except BunrakuError as error:
                self._tell_error(str(error))
            if self._faults.too_many:
                await self._socket.close(POLICY, "too many malformed messages")
                return

    def _take(self, visitor: Visitor, text: str | None) -> None:
        if not self._rate.allows(time.monotonic_ns()):
            self._fault()
            raise OverloadError(f"more than {CONTROL_MESSAGES_PER_S:.0f} messages in a second")
        try:
            message = messages.read_control(text or "")
        except BunrakuError:
            self._fault()
            raise
        if isinstance(message, messages.Ping):
            visitor.heard_clock(message.browser_ms, time.monotonic_ns())
            self._tell({"type": "pong", "browser_ms": message.browser_ms})
        elif isinstance(message, messages.Mute):
            visitor.desk.submit(Mute("on" if message.on else "off"))
            self._tell_state(visitor)
        else:
            self._queue.put(message)

    async def _work(self, visitor: Visitor) -> None:
        """One thing after the other."""
        self._tell(self._welcome(visitor))
        await self._attempt(visitor.begin())
        self._tell_state(visitor)
        while True:
            message = await self._queue.next()
            await self._attempt(self._obey(visitor, message))
            if isinstance(message, messages.SetEffects | messages.ChoosePreset):
                self._tag = message.tag
            self._tell_state(visitor)

    async def _attempt(self, work: Awaitable[None]) -> None:
        """What goes wrong is told; it ends nobody's session, whatever it is."""
        try:
            await work
        except BunrakuError as error:
            self._tell_error(str(error))
        except Exception as error:
            self._tell_error(f"the server failed at this ({type(error).__name__}): nothing changed")
            LOG.exception("a visitor's wish failed")

    def _fault(self) -> None:
        self._faults.add()
        self._visitors.metrics.count_fault()

    async def _obey(self, visitor: Visitor, message: messages.AnyMessage) -> None:
        match message:
            case messages.Offer():
                self._tell({"type": "answer", "sdp": await visitor.offer(message)})
            case messages.HangUp():
                await visitor.hang_up()
        for action in actions_of(message, visitor.desk):
            await asyncio.wrap_future(visitor.desk.ask(action))

    # ---- what goes out --------------------------------------------------------------------------

    def _welcome(self, visitor: Visitor) -> dict[str, Any]:
        settings = self._visitors.settings
        return {
            "type": "welcome",
            "key": visitor.key,
            "presets": list(visitor.desk.state().presets),
            "voices": pack_names(),
            "voice_effects": [
                {"name": kind.name, "title": readable(kind.name), "summary": kind.summary}
                for kind in audio_catalogue().values()
            ],
            "effects": effect_schemas(),
            "records": settings.recordings is not None,
            "browser_devices": visitor.browser_is_microphone,
            "picture": visitor.browser_is_microphone or visitor.picture is not None,
        }

    def _tell_error(self, text: str) -> None:
        self._tell({"type": "error", "text": for_visitor(text)})

    def _say(self, text: str) -> None:
        self._tell({"type": "said", "text": for_visitor(text)})

    def _tell_state(self, visitor: Visitor) -> None:
        self._shown = page_state.state(visitor)
        self._tell({**self._shown, "tag": self._tag})

    def _tell(self, message: dict[str, Any]) -> None:
        """Queued; to a page that does not read, figures and the oldest are left out."""
        if len(self._waiting) >= MOST_WAITING_MESSAGES:
            self._waiting.popleft()
        self._waiting.append(message)
        self._something.set()

    async def _write(self) -> None:
        with contextlib.suppress(Exception):  # the reader notices a closed socket, and ends it all
            while True:
                await self._something.wait()
                self._something.clear()
                while self._waiting:
                    await self._socket.send_json(self._waiting.popleft())

    async def _keep_told(self, visitor: Visitor) -> None:
        """Figures, and what others changed at the same desk."""
        while True:
            await asyncio.sleep(FIGURES_S)
            if visitor.desk.recording.must_end:
                visitor.desk.submit(Record("off"))
            if len(self._waiting) < MOST_WAITING_MESSAGES // 2:
                self._tell(page_state.figures(visitor))
                if page_state.state(visitor) != self._shown:
                    self._tell_state(visitor)
