"""A performance on the server's own camera and microphone, which pages watch and control."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

from bunraku.errors import BunrakuError, UserInputError
from bunraku.io.video_source import Put
from bunraku.serving.browser_picture import NewestPicture, return_track
from bunraku.serving.browser_voice import TakeVoice, VoiceFigures
from bunraku.serving.desk import Desk
from bunraku.serving.messages import Offer
from bunraku.serving.metrics import ServeMetrics
from bunraku.serving.peer import Peer
from bunraku.serving.recent_latency import RecentFigures
from bunraku.serving.settings import ServeSettings
from bunraku.session.live_session import LiveSession
from bunraku.session.open_performance import open_performance
from bunraku.session.performance import Performance
from bunraku.streaming.video_frame import VideoFrame

Result = TypeVar("Result")


class StageVoice:
    """The live session's voice, for a desk. Its Python effects are those it was opened with."""

    def __init__(self, performance: Performance, live: LiveSession, model: str) -> None:
        self.model = model
        self._performance = performance
        self._live = live
        self._offered = live.report().bridge
        self.effect_names = self._offered.effects if self._offered is not None else ()

    @property
    def sample_rate_hz(self) -> int | None:
        return self._live.sample_rate_hz

    def choose(self, model: str, path_or_name: str, effects: Sequence[str] = ()) -> None:
        if tuple(effects) != self.effect_names:
            raise UserInputError(
                "effects written in Python stay as the server opened them: choose a model only"
            )
        self._live.swap(path_or_name)
        self.model = model

    def take(self, taker: TakeVoice) -> None:
        self._performance.take_voice(taker)

    def leave(self, taker: TakeVoice) -> None:
        self._performance.leave_voice(taker)

    def figures(self, now_ns: int) -> VoiceFigures:
        report = self._live.report()
        in_level, out_level = self._live.meters()
        return VoiceFigures(
            model=self.model,
            effects=self.effect_names,
            sample_rate_hz=report.sample_rate_hz,
            blocks=report.blocks,
            misses=report.misses,
            lost=report.output_underflows,
            block_ms=report.block_ms,
            declared_ms=report.declared_ms,
            run=RecentFigures(
                report.blocks, report.added_latency_ms.p50, report.added_latency_ms.p99
            ),
            in_level=in_level,
            out_level=out_level,
        )


class NoVoice:
    """A performance without sound."""

    model = ""
    effect_names: tuple[str, ...] = ()
    sample_rate_hz: int | None = None

    def choose(self, model: str, path_or_name: str, effects: Sequence[str] = ()) -> None:
        return None

    def take(self, taker: TakeVoice) -> None:
        return None

    def leave(self, taker: TakeVoice) -> None:
        return None

    def figures(self, now_ns: int) -> VoiceFigures:
        silent = (0.0, 0.0)
        return VoiceFigures("", (), 0, 0, 0, 0, 0.0, 0.0, RecentFigures(), silent, silent)


class TappedSource:
    """A source whose frames go to `watchers` too, before any effect. Else it is the source."""

    def __init__(self, source: Any, watchers: list[NewestPicture]) -> None:
        self._source = source
        self._watchers = watchers

    def start(self, put: Put) -> None:
        def both(frame: VideoFrame) -> None:
            for watcher in list(self._watchers):
                watcher.show(frame)
            put(frame)

        self._source.start(both)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


class Stage:
    """Opened at the server's start and closed at its end. Raises what opening and starting the
    preset raises."""

    def __init__(self, settings: ServeSettings, metrics: ServeMetrics) -> None:
        assert settings.shelf.first is not None, "the settings were checked"
        shelved = settings.shelf.find(settings.shelf.first)
        self.watchers: list[NewestPicture] = []
        self.metrics = metrics
        self.messages: list[str] = []
        self._opened = open_performance(
            shelved.preset, shelved.path, on_message=self.messages.append
        )
        performance = self._opened.performance
        picture = performance.picture
        if picture is not None:
            picture.source = TappedSource(picture.source, self.watchers)  # type: ignore[assignment]
        try:
            performance.start()
        except BaseException:
            self._opened.close()
            raise
        live = performance.voice
        voice = NoVoice() if live is None else StageVoice(performance, live, shelved.model or "")
        self.desk = Desk(voice, settings.shelf, settings.recordings)
        self.desk.picture = picture
        self.desk.preset = shelved.name
        self.one_at_a_time = asyncio.Lock()

    def close(self) -> None:
        try:
            self.desk.finish_recording()
        except BunrakuError:
            return  # the file's own error; the rest is closed all the same
        finally:
            self._opened.close()


class StageVisitor:
    """One page that looks on: the camera's picture and the transformed one go to it."""

    browser_is_microphone = False
    voice = None

    def __init__(self, stage: Stage, threads: Executor, say: Callable[[str], None]) -> None:
        self.key = secrets.token_urlsafe(18)
        self.desk = stage.desk
        self._stage = stage
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._say = say
        self._peer: Peer | None = None
        self._watching: list[NewestPicture] = []

    async def begin(self, preset: str | None) -> None:
        for text in self._stage.messages[-3:]:
            self._say(text)

    async def change(self, make: Callable[[], Result]) -> Result:
        async with self._stage.one_at_a_time:
            return await self._loop.run_in_executor(self._threads, make)

    async def offer(self, offer: Offer) -> str:
        picture = self.desk.picture
        if picture is None:
            raise UserInputError("this performance has no picture")
        await self.hang_up()
        before, after = NewestPicture(self._loop), NewestPicture(self._loop)
        self._watching = [before, after]
        tracks = [return_track(before, lambda age_ns: None), return_track(after, self._count)]
        self._peer = Peer(tracks, None, lambda: None)
        answer = await self._peer.answer(offer.sdp)
        self._stage.watchers.append(before)
        picture.add_sink(after)
        return answer

    def _count(self, latency_ns: int) -> None:
        self.desk.latency.add(time.monotonic_ns(), latency_ns)
        self._stage.metrics.count_frame(latency_ns)

    async def hang_up(self) -> None:
        peer, self._peer = self._peer, None
        for watching in self._watching:
            if watching in self._stage.watchers:
                self._stage.watchers.remove(watching)
                watching.stop()
            elif self.desk.picture is not None:
                self.desk.picture.remove_sink(watching)
        self._watching = []
        if peer is not None:
            await peer.close()

    async def close(self) -> None:
        await self.hang_up()
