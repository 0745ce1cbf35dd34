"""Down within half a second of trouble, up again after calm, never to and fro."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bunraku.errors import UserInputError

NS_PER_S = 1_000_000_000
WINDOW_NS = 400_000_000
"""Trouble: two of the frames of this last while are late or over the budget ..."""
GROSS_NS = 200_000_000
"""... or one is over it by so much."""
SETTLE_NS = 100_000_000
FIRST_PATIENCE_NS = 2 * NS_PER_S
MOST_PATIENCE_NS = 120 * NS_PER_S
FAILED_WITHIN_NS = 10 * NS_PER_S
HEADROOM = 0.85


@dataclass(frozen=True)
class Observation:
    time_ns: int
    load: float  # of the budget
    bad: bool


class TierControl:
    """The quality of one session, 0 the best, from how its frames went. A pure state machine: no
    clock, no thread.

    period_ns: between two frames, and the budget of each: for waiting and running together.
    costs_ns: what a frame costs at each quality, the dearest first, skipped frames counted in, as
        far as it is known. With it a step goes straight to a quality that should fit; without, one
        quality at a time. start: where admission put the session. may_climb: asked before each step
        up, with the quality wanted; admission's `rebook` is one that books it too.

    Down: two of the frames of the last 0.4 s were late or over the budget (the 95th percentile of
    so few, one freak forgiven), or one was over it by 0.2 s. Up: after 2 s without trouble, if
    all but one in twenty of the last 2 s' frames were in time and will stay below 85 % of the
    budget. If trouble returns within
    10 s of a step up, the next attempt waits twice as long, up to 120 s; a step that holds resets
    this.
    """

    def __init__(
        self,
        rungs: int,
        period_ns: int,
        *,
        costs_ns: Sequence[int] | None = None,
        start: int = 0,
        may_climb: Callable[[int], bool] | None = None,
    ) -> None:
        if rungs < 1 or not 0 <= start < rungs:
            raise UserInputError(f"rung {start} of {rungs}: use 0 to {max(rungs, 1) - 1}")
        if period_ns <= 0:
            raise UserInputError(f"period_ns is {period_ns}: use more than 0")
        if costs_ns is not None and len(costs_ns) != rungs:
            raise UserInputError(f"{len(costs_ns)} costs for {rungs} rungs: give one for each")
        self.rungs = rungs
        self.rung = start
        self.changes = 0
        self._period_ns = period_ns
        self._may_climb = may_climb or (lambda rung: True)
        self._costs_ns = None if costs_ns is None else [max(1, cost) for cost in costs_ns]
        self._recent: deque[Observation] = deque()
        self._calm: deque[Observation] = deque()  # since the last trouble, of the last 2 s
        self._calm_since_ns: int | None = None
        self._settled_ns: int | None = None
        self._climbed_ns: int | None = None  # the last step up, until it held or failed
        self._patience_ns = FIRST_PATIENCE_NS

    @property
    def at_the_end(self) -> bool:
        """Nothing lower is left."""
        return self.rung == self.rungs - 1

    @property
    def patience_ns(self) -> int:
        """How long calm must last before the next step up."""
        return self._patience_ns

    def observe(self, now_ns: int, cost_ns: int, late: bool) -> int:
        """One frame is done. cost_ns: its waiting and running, divided by the number of camera
        frames for which a skipping quality shows it. late: after its deadline. The quality for the
        frames from now on. Times must not go back."""
        if self._settled_ns is None:
            self._settled_ns = self._calm_since_ns = now_ns
        if now_ns < self._settled_ns:
            return self.rung  # it may have begun under the quality before
        over_ns = cost_ns - self._period_ns
        bad = late or over_ns > 0
        self._recent.append(Observation(now_ns, cost_ns / self._period_ns, bad))
        while self._recent[0].time_ns <= now_ns - WINDOW_NS:
            self._recent.popleft()
        if over_ns > GROSS_NS or sum(seen.bad for seen in self._recent) >= 2:
            self._note_trouble(now_ns)
        else:
            # A lone bad frame does not begin the wait anew: one a minute would forbid the way up.
            self._calm.append(self._recent[-1])
            self._note_calm(now_ns)
        return self.rung

    # ---- down -----------------------------------------------------------------------------------

    def _note_trouble(self, now_ns: int) -> None:
        if self._climbed_ns is not None:
            if now_ns - self._climbed_ns < FAILED_WITHIN_NS:
                self._patience_ns = min(2 * self._patience_ns, MOST_PATIENCE_NS)
            else:
                self._patience_ns = FIRST_PATIENCE_NS
            self._climbed_ns = None
        if not self.at_the_end:
            self._move(self._lower(), now_ns)
        self._recent.clear()
        self._calm.clear()
        self._calm_since_ns = now_ns

    def _lower(self) -> int:
        """The first quality below that should fit, by the typical load just seen."""
        if self._costs_ns is None:
            return self.rung + 1
        bad = [seen.load for seen in self._recent if seen.bad]
        loads = sorted(seen.load for seen in self._recent)
        # One long frame among good ones was a stall rather than what this quality costs.
        load = min(bad[-2:]) if len(bad) > 1 else loads[len(loads) // 2]
        for rung in range(self.rung + 1, self.rungs):
            if self._predicted(load, rung) <= HEADROOM:
                return rung
        return self.rungs - 1

    def _predicted(self, load: float, rung: int) -> float:
        assert self._costs_ns is not None
        return load * self._costs_ns[rung] / self._costs_ns[self.rung]

    # ---- up -------------------------------------------------------------------------------------

    def _note_calm(self, now_ns: int) -> None:
        assert self._calm_since_ns is not None
        if self._climbed_ns is not None and now_ns - self._climbed_ns >= FAILED_WITHIN_NS:
            self._patience_ns = FIRST_PATIENCE_NS
            self._climbed_ns = None
        while self._calm[0].time_ns <= now_ns - FIRST_PATIENCE_NS:
            self._calm.popleft()
        if self.rung == 0 or now_ns - self._calm_since_ns < self._patience_ns:
            return
        loads = sorted(max(seen.load, 1.0 if seen.bad else 0.0) for seen in self._calm)
        load = loads[int(0.95 * (len(loads) - 1))]
        higher = self._higher(load, now_ns - self._calm_since_ns)
        if higher is None:
            return
        allowed = next(filter(self._may_climb, range(higher, self.rung)), None)
        if allowed is not None:
            self._climbed_ns = now_ns
            self._move(allowed, now_ns)
        self._recent.clear()
        self._calm.clear()
        self._calm_since_ns = now_ns

    def _higher(self, load: float, calm_ns: int) -> int | None:
        if self._costs_ns is None:
            return self.rung - 1 if load <= HEADROOM else None
        for rung in range(self.rung):
            if self._predicted(load, rung) <= HEADROOM:
                return rung
        # By the costs none fits. They may be of another day: now and then it is tried.
        return self.rung - 1 if load <= HEADROOM and calm_ns >= MOST_PATIENCE_NS else None

    def _move(self, rung: int, now_ns: int) -> None:
        self.rung = rung
        self.changes += 1
        self._settled_ns = now_ns + max(SETTLE_NS, self._period_ns)
