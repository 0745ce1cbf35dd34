"""One tab's session: camera and microphone, effects, connection. It ends with the tab."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import Executor

from bunraku.effects.audio.native_model import load_model
from bunraku.errors import BunrakuError
from bunraku.formats.control_action import ChoosePreset, ChooseVoice
from bunraku.formats.performance_shape import PerformancePreset, Picture, Voice
from bunraku.scheduler.process_scheduler import borrow_scheduler, give_back
from bunraku.serving.browser_clock import BrowserClock
from bunraku.serving.browser_performance import BrowserPerformance
from bunraku.serving.browser_picture import BrowserSource, NewestPicture, return_track
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.limits import MOST_RECORDING_S
from bunraku.serving.messages import Offer
from bunraku.serving.metrics import ServeMetrics
from bunraku.serving.peer import Peer
from bunraku.serving.recent_latency import RecentLatency
from bunraku.serving.settings import ServeSettings
from bunraku.serving.visitor import new_key
from bunraku.serving.voice_figures import VoiceFigures
from bunraku.session.control.desk import ControlDesk
from bunraku.session.video_session import VideoSession

NOTHING_YET = PerformancePreset(name="", voice=Voice(model="radio"), picture=Picture())
"""What a tab plays before a preset is chosen: the picture as it is."""
STOP_TIMEOUT_S = 0.5
"""For a preset that is being opened when the tab closes."""
_numbers = itertools.count(1)


class BrowserSession:
    """A `Visitor` on the event loop. threads: for what takes long and is not the desk's. say: shows
    the visitor a text."""

    browser_is_microphone = True

    def __init__(
        self,
        settings: ServeSettings,
        threads: Executor,
        metrics: ServeMetrics,
        say: Callable[[str], None],
    ) -> None:
        self.key = new_key()
        self.latency = RecentLatency()
        self._first = settings.shelf.first
        self._threads = threads
        self._metrics = metrics
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._clock = BrowserClock()
        self._peer: Peer | None = None
        self._source: BrowserSource | None = None
        self._closed = False
        self._scheduler = borrow_scheduler()
        try:
            self._performance = self._make_performance()
            self.desk = ControlDesk(
                self._performance,
                settings.shelf.paths,
                preset=NOTHING_YET,
                ends_stay=True,
                recordings=settings.recordings,
                most_recording_s=MOST_RECORDING_S,
                on_message=self._say_from_thread,
            )
        except BaseException:
            give_back(self._scheduler)
            raise
        self.desk.start()

    def _make_performance(self) -> BrowserPerformance:
        assert NOTHING_YET.voice is not None, "it has a voice"
        name = f"browser {next(_numbers)}"
        voice = BrowserVoice(
            load_model(NOTHING_YET.voice.model),
            scheduler=self._scheduler,
            name=f"{name} voice",
            clock=self._clock,
            on_block=self._metrics.count_block,
            on_message=self._say_from_thread,
        )
        return BrowserPerformance(
            voice, scheduler=self._scheduler, name=name, on_message=self._say_from_thread
        )

    @property
    def voice(self) -> BrowserVoice | None:
        return self._performance.voice

    @property
    def picture(self) -> VideoSession | None:
        return self._performance.picture

    def drop_voice_effects(self) -> None:
        self._performance.voice.without_effects()
        self.desk.submit(ChooseVoice(self.desk.state().voice, ()))

    def voice_figures(self) -> VoiceFigures:
        return self._performance.voice.figures(time.monotonic_ns())

    def heard_clock(self, browser_ms: float, arrival_ns: int) -> None:
        self._clock.observe(browser_ms, arrival_ns)

    async def begin(self) -> None:
        if self._first is not None:
            await asyncio.wrap_future(self.desk.ask(ChoosePreset(self._first)))

    # ---- the picture ----------------------------------------------------------------------------

    async def offer(self, offer: Offer) -> str:
        """The answer; a camera that was on is replaced."""
        await self.hang_up()
        pictures = NewestPicture(self._loop)
        source = BrowserSource((offer.width, offer.height), offer.rate_hz, self._clock)
        peer = Peer([return_track(pictures, self._count_frame)], source.arrive, self._lost)
        self._source, self._peer = source, peer
        try:
            answer = await peer.answer(offer.sdp)
            opened = self.desk.in_turn(
                lambda: self._performance.open_picture(self.desk.rack, source, pictures)
            )
            await asyncio.wrap_future(opened)
        except BaseException:
            await self.hang_up()
            raise
        return answer

    def _count_frame(self, latency_ns: int) -> None:
        self.latency.add(time.monotonic_ns(), latency_ns)
        picture = self.picture
        if picture is not None:
            self._metrics.count_frame(latency_ns, picture.budget_ns)

    def _say_from_thread(self, text: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._say, text)

    def _lost(self) -> None:
        if not self._closed:
            self._say("the camera's connection was lost: start it again")

    async def hang_up(self) -> None:
        """No picture any more; a recording ends with it."""
        peer, self._peer = self._peer, None
        source, self._source = self._source, None
        if source is not None:
            source.finish()
        if peer is not None:
            await peer.close()
        if not self._closed and self.picture is not None:
            await asyncio.wrap_future(self.desk.in_turn(self._close_picture))

    def _close_picture(self) -> None:
        self.desk.recording.end()
        self._performance.close_picture()

    async def close(self) -> None:
        """Everything that this session has. Idempotent; raises nothing."""
        if self._closed:
            return
        self._closed = True
        peer, self._peer = self._peer, None
        if self._source is not None:
            self._source.finish()
        # The recording is what must not be lost, so it does not wait for the network.
        await asyncio.gather(
            self._loop.run_in_executor(self._threads, self._end),
            *([peer.close()] if peer is not None else []),
            return_exceptions=True,
        )

    def _end(self) -> None:
        try:
            self.desk.stop(STOP_TIMEOUT_S)
        except BunrakuError:
            pass  # the file's own error, which nobody is there to read
        finally:
            self._performance.close()
            give_back(self._scheduler)
