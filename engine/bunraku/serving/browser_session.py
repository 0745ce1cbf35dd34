"""One tab's session: camera and microphone, effects, connection. It ends with the tab."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from bunraku.errors import BunrakuError, UserInputError
from bunraku.scheduler.process_scheduler import borrow_scheduler, give_back
from bunraku.serving.browser_picture import BrowserSource, NewestPicture, return_track
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.desk import DEFAULT_MODEL, Desk
from bunraku.serving.messages import Offer
from bunraku.serving.metrics import ServeMetrics
from bunraku.serving.peer import Peer
from bunraku.serving.settings import ServeSettings
from bunraku.session.video_session import VideoSession

Result = TypeVar("Result")
_numbers = itertools.count(1)


class BrowserSession:
    """On the event loop; what takes long runs in `threads`, one thing at a time. key: what this
    tab's other connections must know. say: shows the visitor a text."""

    browser_is_microphone = True

    def __init__(
        self,
        settings: ServeSettings,
        threads: Executor,
        metrics: ServeMetrics,
        say: Callable[[str], None],
    ) -> None:
        self.key = secrets.token_urlsafe(18)
        self.number = next(_numbers)
        self._threads = threads
        self._metrics = metrics
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._one_at_a_time = asyncio.Lock()
        self._scheduler = borrow_scheduler()
        self._peer: Peer | None = None
        self._source: BrowserSource | None = None
        self._closed = False
        try:
            voice = BrowserVoice(DEFAULT_MODEL, metrics.count_block)
        except BaseException:
            give_back(self._scheduler)
            raise
        self.voice: BrowserVoice | None = voice
        self.desk = Desk(voice, settings.shelf, settings.recordings)

    async def begin(self, preset: str | None) -> None:
        """With the first preset, before the camera is on."""
        if preset is not None:
            await self.change(lambda: self.desk.choose_preset(preset))

    async def change(self, make: Callable[[], Result]) -> Result:
        """Run `make` in a thread, after what runs already. Raises what it raises."""
        async with self._one_at_a_time:
            if self._closed:
                raise UserInputError("the session has ended: reload the page")
            return await self._loop.run_in_executor(self._threads, make)

    # ---- the picture ----------------------------------------------------------------------------

    async def offer(self, offer: Offer) -> str:
        """The answer; a camera that was on is replaced. Raises BunrakuError."""
        await self.hang_up()
        pictures = NewestPicture(self._loop)
        source = BrowserSource((offer.width, offer.height), offer.rate_hz)
        track = return_track(pictures, self._count_frame)
        peer = Peer([track], source.arrive, self._lost)
        self._source, self._peer = source, peer
        try:
            answer = await peer.answer(offer.sdp)
            said = await self.change(lambda: self._open_picture(source, pictures))
        except BaseException:
            await self.hang_up()
            raise
        if said is not None:
            self._say(said)
        return answer

    def _open_picture(self, source: BrowserSource, pictures: NewestPicture) -> str | None:
        def session(effects: list[Any]) -> VideoSession:
            return VideoSession(
                source,
                effects,
                [pictures],
                scheduler=self._scheduler,
                name=f"browser {self.number}",
                on_message=self._say_from_thread,
            )

        return self.desk.open_picture(session)

    def _count_frame(self, latency_ns: int) -> None:
        self.desk.latency.add(time.monotonic_ns(), latency_ns)
        self._metrics.count_frame(latency_ns)

    def _say_from_thread(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self._say, text)

    def _lost(self) -> None:
        if not self._closed:
            self._say("the camera's connection was lost: start it again")

    async def hang_up(self) -> None:
        """No picture any more. Raises what a recording raises that ends with it."""
        peer, self._peer = self._peer, None
        source, self._source = self._source, None
        if source is not None:
            source.finish()
        if peer is not None:
            await peer.close()
        if not self._closed:
            await self.change(self.desk.close_picture)

    async def close(self) -> None:
        """Everything that this session has. Idempotent; raises nothing."""
        if self._closed:
            return
        self._closed = True
        peer, self._peer = self._peer, None
        if self._source is not None:
            self._source.finish()
        async with self._one_at_a_time:
            # The recording is what must not be lost, so it does not wait for the network.
            await asyncio.gather(
                self._loop.run_in_executor(self._threads, self._close_desk),
                *([peer.close()] if peer is not None else []),
                return_exceptions=True,
            )

    def _close_desk(self) -> None:
        try:
            self.desk.close()
        except BunrakuError:
            pass
        finally:
            give_back(self._scheduler)
