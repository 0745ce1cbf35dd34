"""A performance on the server's own camera and microphone, which pages watch and control."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.performance import read_performance
from bunraku.serving.browser_picture import NewestPicture, return_track
from bunraku.serving.codec_cost import Pictures, codec_budget
from bunraku.serving.limits import MOST_RECORDING_S
from bunraku.serving.messages import Offer
from bunraku.serving.metrics import ServeMetrics
from bunraku.serving.peer import Peer
from bunraku.serving.recent_latency import RecentLatency
from bunraku.serving.settings import ServeSettings
from bunraku.serving.stage_watch import StageWatch
from bunraku.serving.visitor import new_key
from bunraku.serving.voice_figures import VoiceFigures, figures_of
from bunraku.session.control.desk import ControlDesk
from bunraku.session.control.inputs import control_inputs
from bunraku.session.open_performance import open_performance
from bunraku.session.video_session import VideoSession


class Stage:
    """Opened at the server's start and closed at its end. The preset's own controllers (OSC, MIDI)
    move the same desk as the pages. Raises what opening and starting the preset raises."""

    def __init__(self, settings: ServeSettings, metrics: ServeMetrics) -> None:
        assert settings.shelf.first is not None, "the settings were checked"
        path = settings.shelf.paths[settings.shelf.first]
        preset = read_performance(path)
        self.metrics = metrics
        self.latency = RecentLatency()
        self.listeners: list[Callable[[str], None]] = []
        self._loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as closing:
            opened = open_performance(preset, path, on_message=self._say)
            self.performance = closing.enter_context(opened)
            self.desk = ControlDesk(
                self.performance,
                settings.shelf.paths,
                preset=preset,
                path=path,
                ends_stay=True,
                recordings=settings.recordings,
                most_recording_s=MOST_RECORDING_S,
                on_message=self._say,
            )
            closing.enter_context(self.desk)
            closing.enter_context(control_inputs(self.desk, preset.control, hotkeys=False))
            self._watch = StageWatch(self.performance, self.desk, self._say)
            closing.callback(self._watch.close)
            self._closing = closing.pop_all()

    @property
    def picture(self) -> VideoSession | None:
        return self.performance.picture

    def voice_figures(self) -> VoiceFigures:
        return figures_of(self.performance.voice)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong so far."""
        return self._watch.troubles

    def _say(self, text: str) -> None:
        """From any thread, to all pages."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, text)

    def _tell(self, text: str) -> None:
        for listener in list(self.listeners):
            listener(text)

    def close(self) -> None:
        """Recording finished, devices let go."""
        with contextlib.suppress(BunrakuError):  # the file's own error; the rest is closed
            self._closing.close()


class StageVisitor:
    """A `Visitor` that looks on: the camera's picture and the transformed one go to it."""

    browser_is_microphone = False
    voice = None

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.key = new_key()
        self.desk = stage.desk
        self.latency = stage.latency
        self._stage = stage
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._peer: Peer | None = None
        self._before: NewestPicture | None = None
        self._after: NewestPicture | None = None
        stage.listeners.append(say)

    @property
    def picture(self) -> VideoSession | None:
        return self._stage.picture

    def drop_voice_effects(self) -> None:
        """No sound comes from a page."""

    def voice_figures(self) -> VoiceFigures:
        return self._stage.voice_figures()

    def heard_clock(self, browser_ms: float, arrival_ns: int) -> None:
        """Nothing here counts by it."""

    async def begin(self) -> None:
        """It plays already; what was said before this page came is said again."""
        for text in self._stage.troubles:
            self._say(text)

    async def offer(self, offer: Offer) -> str:
        picture = self.picture
        if picture is None:
            raise UserInputError("this performance has no picture")
        await self.hang_up()
        seen = Pictures(picture.source.size, picture.source.rate_hz, decoded=0, encoded=2)
        await self._loop.run_in_executor(None, codec_budget().book, self.key, seen)
        before, after = NewestPicture(self._loop), NewestPicture(self._loop)
        tracks = [return_track(before, lambda age_ns: None), return_track(after, self._count)]
        self._peer = Peer(tracks, None, lambda: None)
        try:
            answer = await self._peer.answer(offer.sdp)
        except BaseException:
            await self.hang_up()
            raise
        self._before, self._after = before, after
        picture.watch_source(before)
        picture.add_sink(after)
        return answer

    def _count(self, latency_ns: int) -> None:
        self.latency.add(time.monotonic_ns(), latency_ns)
        if self.picture is not None:
            self._stage.metrics.count_frame(latency_ns, self.picture.budget_ns)

    async def hang_up(self) -> None:
        codec_budget().release(self.key)
        peer, self._peer = self._peer, None
        before, self._before = self._before, None
        after, self._after = self._after, None
        if before is not None and self.picture is not None:
            self.picture.leave_source(before)
        if after is not None and self.picture is not None:
            self.picture.remove_sink(after)
        if peer is not None:
            await peer.close()

    async def close(self) -> None:
        if self._say in self._stage.listeners:
            self._stage.listeners.remove(self._say)
        await self.hang_up()
