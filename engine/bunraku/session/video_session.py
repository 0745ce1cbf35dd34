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
from bunraku.errors import OverloadError, UserInputError
from bunraku.io.video_source import VideoSink, VideoSource
from bunraku.scheduler.admission import Demand
from bunraku.scheduler.cost_model import SAMPLES_TO_TRUST, CostKey
from bunraku.scheduler.job import Job, Lane, Outcome
from bunraku.scheduler.process_scheduler import ProcessScheduler
from bunraku.scheduler.tier_control import TierControl
from bunraku.session.calibration import CostTally, calibrations, typical_frame
from bunraku.session.control.setting_range import reopens
from bunraku.session.frame_work import ChainPlace, FrameWork, transform_batch, transform_one
from bunraku.session.gap_filler import GapFiller, filling_costs_ns
from bunraku.session.presenter import Presenter
from bunraku.session.quality_ladder import Rung, quality_ladder
from bunraku.session.running import Running
from bunraku.session.video_counters import VideoCounters
from bunraku.session.video_report import VideoReport
from bunraku.streaming.video_frame import VideoFrame

NS_PER_S = 1_000_000_000
DEFAULT_BUDGET_S = 0.066
EXCHANGE_TIMEOUT_S = 2.0
LEARN_EVERY_NS = NS_PER_S
OVERHEAD_NS = 500_000
"""A frame's copy, its hand-over and the scheduler."""


class VideoSession(Running):
    """Frames of `source` through `effects` to `sinks`.

    scheduler: where this session's frames compete with all others'. name: unique in the process.
    budget_s: how long after its capture a frame may be shown before it counts as late, the way from
        a far camera to here left out.
    lowest_tiers: by the chain's names, how far an effect may be lowered under load.
    interpolate: show something for frames that a lower quality leaves out, where that costs less
        than leaving them out saves; then, frames come later by as many as are missing.
    on_shown: may be set before `start`: told each frame's latency from capture to hand-over, in
        ns: with what `interpolate` adds, without what `set_delay` does.

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
        self._presenter = Presenter(self._hand_to_sinks, self._say_not_shown)
        self._filler = GapFiller(self._period_ns) if interpolate else None
        self._filling_ns: dict[int, int] = {}
        self._lock = threading.Lock()  # around ladder and control, which change together
        self._costs = CostTally(self._counters.count_effect)
        self.place = ChainPlace(VideoChain(effects, on_cost=self._costs.add))
        self._ladder: tuple[Rung, ...] = ()
        self._control: TierControl | None = None
        self._said: set[str] = set()
        self._learnt_ns = 0
        self._prepared = self._started = self._stopped = False

    # ---- running --------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Open the effects, measure them, and be admitted. `start` does it if need be."""
        if self._prepared:
            return
        self._open(self.place.chain, self._costs, self._lowest_tiers)
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
        over = self._scheduler.executor.forget(self.name)
        self._scheduler.admission.release(self.name)
        self._presenter.stop()
        for sink in (*self._sinks, *self._watchers):
            sink.stop()
        if over:
            self.place.close()
        else:
            self._on_message("a frame still hangs in an effect; left behind")
            self.place.close_late()
        self._counters.end(time.monotonic_ns())

    @property
    def running(self) -> bool:
        """Started, and neither stopped nor at the source's end."""
        return self._started and not self._stopped and not self.source.ended

    def check(self) -> None:
        """Raises what ended the source or a sink; says once what befell an effect."""
        if self.source.error is not None:
            raise self.source.error
        self.check_sinks()
        for name, error in dict(self.place.chain.errors).items():
            self._say_once(f"the effect {name} failed and is off: {error!r}")
        for hung in self._scheduler.executor.stats().hung:
            if hung.session == self.name:
                self._say_once("a frame hangs in an effect: the picture stands still until it ends")

    def check_sinks(self) -> None:
        """Raises what ended a sink. Also after `stop`: a recording may fail as it is finished."""
        for sink in self._sinks:
            if sink.error is not None:
                raise sink.error

    def _open(
        self,
        chain: VideoChain,
        costs: CostTally,
        lowest_tiers: Mapping[str, str],
        is_in: bool = False,
    ) -> None:
        """Open and measure a chain, and let it serve once it has its place in the scheduler."""
        chain.open()
        try:
            frame = typical_frame(self.source.size)
            costs_ns = calibrations.costs_ns(chain, frame, costs)
            if self._filler is not None and not self._filling_ns:
                self._filling_ns = filling_costs_ns(frame)
            ladder = quality_ladder(
                costs_ns,
                overhead_ns=OVERHEAD_NS,
                lowest=lowest_of(chain, lowest_tiers),
                filling_ns=self._filling_ns,
            )
            demand = Demand(
                self.name,
                Lane.VIDEO,
                self._period_ns,
                tuple(rung.cost_ns for rung in ladder),
                strides=tuple(rung.stride for rung in ladder),
            )
            self._serve(chain, ladder, demand, is_in)
        except BaseException as error:
            if isinstance(error, OverloadError):  # of what was measured in a busy moment, perhaps
                calibrations.forget(chain, self.source.size)
            chain.close()
            raise

    def _serve(
        self, chain: VideoChain, ladder: tuple[Rung, ...], demand: Demand, is_in: bool
    ) -> None:
        """From the next frame on. Booked within the locks: a frame that ends now would book a
        quality of the old ladder."""
        if not self.place.lock.acquire(timeout=EXCHANGE_TIMEOUT_S):
            self._leave_behind()
        place = self.place
        try:
            with self._lock:
                rung = self._scheduler.admission.admit(demand, is_in=is_in)
                self._ladder = ladder
                self._control = TierControl(
                    len(ladder),
                    self._period_ns,
                    costs_ns=demand.rung_costs_ns,
                    start=rung,
                    may_climb=self._book,
                )
                chain.use(ladder[rung].tiers)
                place.chain = chain
        finally:
            place.lock.release()

    def _leave_behind(self) -> None:
        """The frame that hangs keeps the thread and the chain that it holds; this session goes on
        elsewhere, in a place that is locked for the exchange."""
        self._on_message("a frame hangs in an effect; left behind")
        self._scheduler.executor.forget(self.name, 0.0)
        self.place.close_late()
        self.place = ChainPlace(VideoChain([]))  # the picture as it is, if nothing else is let in
        self.place.lock.acquire()

    # ---- a frame's way --------------------------------------------------------------------------

    def _arrived(self, frame: VideoFrame) -> None:
        """On the source's thread."""
        if self._stopped:  # a device that was left behind
            return
        self._counters.captured += 1
        for watcher in self._watchers:
            watcher.show(frame)
        with self._lock:
            assert self._control is not None, "the session is prepared"
            number = self._control.rung
            rung = self._ladder[number]
            stride = rung.stride
            alike = self.place.chain.batch_key(frame)
        if frame.number % stride != 0:
            self._counters.skipped += 1
            return
        work = FrameWork(self, frame, fills=stride == 1 or rung.fills)
        # Only with those of one pace: admission lets a frame wait for one rarer one, not for two.
        batch_key = None if alike is None else (alike, self._period_ns * stride)
        dropped = self._scheduler.executor.submit(
            Job(
                session=self.name,
                lane=Lane.VIDEO,
                deadline_ns=frame.time_ns + self.budget_ns,
                cost_key=self._cost_key(number),
                run=transform_one(work),
                batch_key=batch_key,
                run_batch=None if alike is None else transform_batch,
                payload=work,
                on_done=lambda outcome: self._done(work, outcome, stride),
                on_error=self._failed,
            )
        )
        self._counters.replaced += dropped is not None

    def present(self, shown: VideoFrame, fills: bool) -> int:
        """On the inference thread; by how many ns the frame is shown later, for those before it."""
        if self._filler is None:
            self._presenter.show(shown)
            return 0
        later_ns = 0
        for frame, later_ns in self._filler.fill(shown, fills):
            self._presenter.show(frame, later_ns)
            self._counters.filled += frame.interpolated
        return later_ns

    def _done(self, work: FrameWork, outcome: Outcome, stride: int) -> None:
        """On the inference thread, after each frame. Counted last: what raises here has failed."""
        if work.abandoned:
            return
        ready_ns = outcome.ended_ns - work.frame.time_ns
        latency_ns = ready_ns + work.later_ns
        # Lowering the quality further makes a frame ready sooner, but not those before it shorter.
        late = ready_ns > self.budget_ns
        self.on_shown(latency_ns)
        with self._lock:
            assert self._control is not None, "the session is prepared"
            before = self._control.rung
            rung = self._control.observe(outcome.ended_ns, outcome.response_ns // stride, late)
            if rung != before:
                self._book(rung)
                self.place.chain.use(self._ladder[rung].tiers)
        if outcome.ended_ns > self._learnt_ns + LEARN_EVERY_NS:
            self._learnt_ns = outcome.ended_ns
            self._learn(rung)
        self._counters.count_shown(latency_ns, outcome.run_ns, latency_ns > self.budget_ns)

    def _cost_key(self, rung: int) -> CostKey:
        """What is measured together: each quality of this session."""
        return CostKey(self.name, (*self.source.size, rung))

    def _learn(self, rung: int) -> None:
        """Who wants to come in is told what this session's frames really take."""
        p99_ns = self._scheduler.costs.p99_ns(self._cost_key(rung), SAMPLES_TO_TRUST)
        if p99_ns is not None:
            self._scheduler.admission.learn(self.name, Lane.VIDEO, rung, p99_ns)

    def _book(self, rung: int) -> bool:
        """Whether there is room for this quality beside the other sessions; then it is booked."""
        return self._scheduler.admission.rebook(self.name, Lane.VIDEO, rung)

    def _failed(self, error: BaseException) -> None:
        self._counters.failed += 1
        self._say_once(f"a frame failed: {error!r}")

    def _say_not_shown(self, error: Exception) -> None:
        self._say_once(f"a frame could not be shown: {error!r}")

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
        self._counters.keep(sink)

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
        UserInputError, also for a setting that takes effect when the effect is opened: that wants
        `set_effects`, which opens and measures a chain beside the one that plays."""
        effects = self.place.chain.effects
        if effect not in effects:
            raise UserInputError(
                f"no effect here is named '{effect}'; there are {', '.join(effects) or 'none'}"
            )
        kind = type(effects[effect])
        for setting in settings:
            if reopens(kind, setting):
                raise UserInputError(
                    f"{effect}.{setting} takes effect when the effect is opened: exchange the"
                    " effects instead of changing it"
                )
        effects[effect].change(**settings)

    def set_effects(
        self,
        effects: Sequence[VideoEffect],
        lowest_tiers: Mapping[str, str] | None = None,
        budget_s: float | None = None,
        lighter: bool = False,
    ) -> None:
        """Another chain while frames go on: opened and measured beside the old one, which serves
        until then. budget_s: None: as it is. lighter: it is the old chain with less in it, which is
        never refused for its cost. Raises what `prepare` raises, and the old chain stays."""
        place, old = self.place, self.place.chain
        costs = CostTally(self._counters.count_effect)
        self._open(VideoChain(effects, on_cost=costs.add), costs, lowest_tiers or {}, lighter)
        if budget_s is not None:
            self.budget_ns = round((budget_s + self.source.way_s) * NS_PER_S)
        self._said.clear()
        if self.place is place:  # else the frame that hangs in it closes it
            try:
                old.close()
            except Exception as error:  # an effect of somebody's own; the new chain plays already
                self._say_once(f"an effect that went failed in closing: {error!r}")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._on_message(text)

    # ---- figures --------------------------------------------------------------------------------

    @property
    def effects(self) -> dict[str, VideoEffect]:
        """By the chain's names."""
        return dict(self.place.chain.effects)

    def report(self) -> VideoReport:
        """Everything counted so far."""
        with self._lock:
            chain, control = self.place.chain, self._control
        return self._counters.report(
            source=self.source,
            chain=chain,
            budget_ns=self.budget_ns,
            rung=control.rung if control else 0,
            rungs=len(self._ladder),
            rung_changes=control.changes if control else 0,
            sinks=self._sinks,
            presenter=self._presenter,
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
