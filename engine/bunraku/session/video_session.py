"""The picture's half of a performance: source, chain of effects, sinks, under the scheduler.

The newest frame wins everywhere: a frame that arrives while an older one still waits replaces it,
and each sink shows the newest it was handed. Nothing is queued, so nothing grows late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.video_effect import VideoEffect
from bunraku.errors import UserInputError
from bunraku.io.video_source import VideoSink, VideoSource
from bunraku.scheduler.admission import Demand
from bunraku.scheduler.cost_model import CostKey
from bunraku.scheduler.job import Job, Lane, Outcome
from bunraku.scheduler.process_scheduler import ProcessScheduler
from bunraku.scheduler.tier_control import TierControl
from bunraku.session.calibration import CostTally, calibrate, typical_frame
from bunraku.session.gap_filler import GapFiller
from bunraku.session.presenter import Presenter
from bunraku.session.quality_ladder import Rung, quality_ladder
from bunraku.session.running import Running
from bunraku.session.video_counters import VideoCounters
from bunraku.session.video_report import VideoReport
from bunraku.streaming.video_frame import VideoFrame

NS_PER_S = 1_000_000_000
DEFAULT_BUDGET_S = 0.066
OVERHEAD_NS = 500_000
"""A frame's copy, its hand-over and the scheduler."""


class VideoSession(Running):
    """Frames of `source` through `effects` to `sinks`.

    scheduler: where this session's frames compete with all others'. name: unique in the process.
    budget_s: how long after its capture a frame may be shown before it counts as late, the way from
        a far camera to here left out.
    lowest_tiers: by the chain's names, how far an effect may be lowered under load.
    interpolate: show something for frames that a lower quality leaves out; then, frames come later
        by as many as are missing.
    on_shown: may be set before `start`: told each frame's latency from capture to hand-over, in
        ns, before any delay.

    Raises what source, effects and sinks raise, and OverloadError when even the lowest quality does
    not fit beside what runs. One control thread; `report` and `change` from any.
    """

    def __init__(
        self,
        source: VideoSource,
        effects: Sequence[VideoEffect],
        sinks: Sequence[VideoSink],
        *,
        scheduler: ProcessScheduler,
        name: str = "picture",
        budget_s: float = DEFAULT_BUDGET_S,
        lowest_tiers: Mapping[str, str] | None = None,
        interpolate: bool = False,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.source = source
        self._sinks = list(sinks)
        self._watchers: list[VideoSink] = []
        self._scheduler = scheduler
        self.budget_ns = round((budget_s + source.way_s) * NS_PER_S)
        self._period_ns = round(NS_PER_S / source.rate_hz)
        self._lowest_tiers = dict(lowest_tiers or {})
        self.on_shown: Callable[[int], None] = lambda latency_ns: None
        self._on_message = on_message or (lambda text: None)
        self._counters = VideoCounters()
        self._presenter = Presenter(self._hand_to_sinks)
        self._filler = GapFiller(self._period_ns) if interpolate else None
        self._lock = threading.Lock()  # around ladder and control, which change together
        self._in_chain = threading.Lock()  # held while a frame is in the chain, or it is exchanged
        self._costs = CostTally(self._counters.count_effect)
        self._chain = VideoChain(effects, on_cost=self._costs.add)
        self._ladder: tuple[Rung, ...] = ()
        self._control: TierControl | None = None
        self._said: set[str] = set()
        self._prepared = self._started = self._stopped = False

    # ---- running --------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Open the effects, measure them, and be admitted. `start` does it if need be."""
        if self._prepared:
            return
        self._open(self._chain, self._costs, self._lowest_tiers)
        self._prepared = True

    def start(self) -> None:
        """Once; a stopped session is not started again."""
        assert not self._started, "a session starts once"
        self._started = True
        self.prepare()
        for sink in self._sinks:
            sink.start()
        self._counters.begin(time.monotonic_ns())
        self.source.start(self._arrived)

    def stop(self) -> None:
        """No more frames; sinks finish what they write. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self.source.stop()
        self._scheduler.executor.forget(self.name)
        self._scheduler.admission.release(self.name)
        self._presenter.stop()
        for sink in (*self._sinks, *self._watchers):
            sink.stop()
        self._chain.close()
        self._counters.end(time.monotonic_ns())

    @property
    def running(self) -> bool:
        """Started, and neither stopped nor at the source's end."""
        return self._started and not self._stopped and not self.source.ended

    def check(self) -> None:
        """Raises what ended the source or a sink; says once what befell an effect."""
        if self.source.error is not None:
            raise self.source.error
        for sink in self._sinks:
            if sink.error is not None:
                raise sink.error
        for name, error in dict(self._chain.errors).items():
            self._say_once(f"the effect {name} failed and is off: {error!r}")

    def _open(self, chain: VideoChain, costs: CostTally, lowest_tiers: Mapping[str, str]) -> None:
        """Open and measure a chain, and let it serve once it has its place in the scheduler."""
        chain.open()
        try:
            costs_ns = calibrate(chain, typical_frame(self.source.size), costs)
            ladder = quality_ladder(
                costs_ns, overhead_ns=OVERHEAD_NS, lowest=lowest_of(chain, lowest_tiers)
            )
            demand = Demand(
                self.name,
                Lane.VIDEO,
                self._period_ns,
                tuple(rung.cost_ns for rung in ladder),
                strides=tuple(rung.stride for rung in ladder),
            )
            rung = self._scheduler.admission.admit(demand)
        except BaseException:
            chain.close()
            raise
        with self._in_chain, self._lock:
            self._ladder = ladder
            self._control = TierControl(
                len(ladder),
                self._period_ns,
                costs_ns=demand.rung_costs_ns,
                start=rung,
                may_climb=self._book,
            )
            chain.use(ladder[rung].tiers)
            self._chain = chain

    # ---- a frame's way --------------------------------------------------------------------------

    def _arrived(self, frame: VideoFrame) -> None:
        """On the source's thread."""
        self._counters.captured += 1
        for watcher in self._watchers:
            watcher.show(frame)
        with self._lock:
            assert self._control is not None, "the session is prepared"
            stride = self._ladder[self._control.rung].stride
        if frame.number % stride != 0:
            self._counters.skipped += 1
            return
        dropped = self._scheduler.executor.submit(
            Job(
                session=self.name,
                lane=Lane.VIDEO,
                deadline_ns=frame.time_ns + self.budget_ns,
                cost_key=CostKey("picture", self.source.size),
                run=lambda: self._transform(frame),
                on_done=lambda outcome: self._done(frame, outcome, stride),
                on_error=self._failed,
            )
        )
        self._counters.replaced += dropped is not None

    def _transform(self, frame: VideoFrame) -> None:
        """On the inference thread."""
        with self._in_chain:
            shown = self._chain.process(frame)
        for filled, later_ns in self._filler.fill(shown) if self._filler else [(shown, 0)]:
            self._presenter.show(filled, later_ns)

    def _done(self, frame: VideoFrame, outcome: Outcome, stride: int) -> None:
        """On the inference thread, after each frame."""
        latency_ns = outcome.ended_ns - frame.time_ns
        late = latency_ns > self.budget_ns
        self._counters.count_shown(latency_ns, outcome.run_ns, late)
        self.on_shown(latency_ns)
        with self._lock:
            assert self._control is not None, "the session is prepared"
            before = self._control.rung
            rung = self._control.observe(outcome.ended_ns, outcome.response_ns // stride, late)
            if rung != before:
                self._book(rung)
                self._chain.use(self._ladder[rung].tiers)

    def _book(self, rung: int) -> bool:
        """Whether there is room for this quality beside the other sessions; then it is booked."""
        return self._scheduler.admission.rebook(self.name, Lane.VIDEO, rung)

    def _failed(self, error: BaseException) -> None:
        self._counters.failed += 1
        self._say_once(f"a frame failed: {error!r}")

    def _hand_to_sinks(self, frame: VideoFrame) -> None:
        for sink in self._sinks:
            sink.show(frame)

    # ---- control --------------------------------------------------------------------------------

    def set_delay(self, delay_ns: int) -> None:
        """Show frames so much later than they are ready, to stay in step with a slower voice."""
        self._presenter.set_delay(delay_ns)

    def follow(self, time_ns_of: Callable[[float], int]) -> None:
        """Before `start`: a file's frames fall due when this says, given their place in seconds,
        rather than by the monotonic clock. Sources with a clock of their own keep it."""
        self.source.follow(time_ns_of)

    def add_sink(self, sink: VideoSink) -> None:
        """Show frames there as well, from now on. Raises what the sink's `start` raises."""
        if self._started:
            sink.start()
        self._sinks = [*self._sinks, sink]

    def remove_sink(self, sink: VideoSink) -> None:
        """The sink is stopped; what it writes is complete when this returns."""
        self._sinks = [other for other in self._sinks if other is not sink]
        sink.stop()

    def watch_source(self, sink: VideoSink) -> None:
        """Show there each frame as it was captured, before any effect, from now on."""
        sink.start()
        self._watchers = [*self._watchers, sink]

    def leave_source(self, sink: VideoSink) -> None:
        """The opposite of `watch_source`."""
        self._watchers = [other for other in self._watchers if other is not sink]
        sink.stop()

    def change(self, effect: str, **settings: Any) -> None:
        """Other settings for one effect, by the chain's name for it, from the next frame on. Raises
        UserInputError."""
        effects = self._chain.effects
        if effect not in effects:
            raise UserInputError(
                f"no effect here is named '{effect}'; there are {', '.join(effects) or 'none'}"
            )
        effects[effect].change(**settings)

    def set_effects(
        self,
        effects: Sequence[VideoEffect],
        lowest_tiers: Mapping[str, str] | None = None,
        budget_s: float | None = None,
    ) -> None:
        """Another chain while frames go on: opened and measured beside the old one, which serves
        until then. budget_s: None: as it is. Raises what `prepare` raises, and the old chain
        stays."""
        old = self._chain
        costs = CostTally(self._counters.count_effect)
        self._open(VideoChain(effects, on_cost=costs.add), costs, lowest_tiers or {})
        if budget_s is not None:
            self.budget_ns = round((budget_s + self.source.way_s) * NS_PER_S)
        self._said.clear()
        old.close()

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._on_message(text)

    # ---- figures --------------------------------------------------------------------------------

    @property
    def effects(self) -> dict[str, VideoEffect]:
        """By the chain's names."""
        return dict(self._chain.effects)

    def report(self) -> VideoReport:
        """Everything counted so far."""
        with self._lock:
            chain, control = self._chain, self._control
        return self._counters.report(
            source=self.source,
            chain=chain,
            budget_ns=self.budget_ns,
            rung=control.rung if control else 0,
            rungs=len(self._ladder),
            rung_changes=control.changes if control else 0,
            sinks=self._sinks,
            now_ns=time.monotonic_ns(),
        )


def lowest_of(chain: VideoChain, tiers: Mapping[str, str]) -> dict[str, int]:
    """Tiers by their names as numbers. Raises UserInputError that lists the names."""
    lowest = {}
    for name, tier in tiers.items():
        names = chain.tier_names(name)
        if tier not in names:
            raise UserInputError(f"lowest_tier of {name} is '{tier}': use {', '.join(names)}")
        lowest[name] = names.index(tier)
    return lowest
