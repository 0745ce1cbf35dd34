"""Who may come in: the sum of what is promised, against what the machine can keep."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bunraku.errors import OverloadError, UserInputError
from bunraku.scheduler.job import Lane

AUDIO_SHARE = 0.6
VIDEO_SHARE = 0.85
NS_PER_MS = 1e6
REMEDY = {
    Lane.AUDIO: "close a session, take larger blocks, or leave out an effect written in Python",
    Lane.VIDEO: "take an effect out, lower the size or the frame rate, or close another session",
}


@dataclass(frozen=True)
class Demand:
    """rung_costs_ns: what one block or frame costs at each quality, the dearest first; skipped
    frames counted in. period_ns: how often it comes, and how soon it must be done. strides: every
    how many frames a quality runs at all, its cost then coming in one piece; () for every one."""

    session: str
    lane: Lane
    period_ns: int
    rung_costs_ns: tuple[int, ...]
    strides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.period_ns <= 0:
            raise UserInputError(f"period_ns is {self.period_ns}: use more than 0")
        if not self.rung_costs_ns or min(self.rung_costs_ns) < 0:
            raise UserInputError(
                f"rung_costs_ns is {self.rung_costs_ns}: give at least one cost, none below 0"
            )
        of_each = len(self.strides) == len(self.rung_costs_ns) and min(self.strides) >= 1
        if self.strides and not of_each:
            raise UserInputError(
                f"strides is {self.strides}: give one for each of {len(self.rung_costs_ns)} costs,"
                " none below 1"
            )


@dataclass(frozen=True)
class Booking:
    """learnt_ns: what a run at this quality was measured to take, 0 before."""

    demand: Demand
    rung: int
    learnt_ns: int = 0

    @property
    def stride(self) -> int:
        return self.demand.strides[self.rung] if self.demand.strides else 1

    @property
    def period_ns(self) -> int:
        return self.demand.period_ns * self.stride

    @property
    def cost_ns(self) -> int:
        return max(self.learnt_ns, self.demand.rung_costs_ns[self.rung] * self.stride)


def load_of(bookings: Iterable[Booking]) -> float:
    """The largest share of time that any of them sees taken: at most 1 means that earliest deadline
    first keeps every deadline (Baker, "Stack-based scheduling of realtime processes", 1991, theorem
    on blocking, where the whole of a job is its critical section).

    What comes at most as often as a job's period adds its cost for each period; of what comes more
    rarely, one job may have begun a moment before and is not interrupted.
    """
    by_period = sorted(bookings, key=lambda b: b.period_ns)
    worst = used = 0.0
    for k, booking in enumerate(by_period):
        used += booking.cost_ns / booking.period_ns
        rarer = (b.cost_ns for b in by_period[k + 1 :] if b.period_ns > booking.period_ns)
        worst = max(worst, used + max(rarer, default=0) / booking.period_ns)
    return worst


Others = Callable[[Lane, str], list[Booking]]
"""What is booked of a lane by all but one session."""


class Admission:
    """Books sessions against `audio_share` and `video_share` of one thread each.

    Where `cores` is 1 both lanes live on one: video gets what audio's bookings leave of its share.
    Any threads.
    """

    def __init__(
        self,
        *,
        audio_share: float = AUDIO_SHARE,
        video_share: float = VIDEO_SHARE,
        cores: int | None = None,
    ) -> None:
        for name, share in (("audio_share", audio_share), ("video_share", video_share)):
            if not 0.0 < share <= 1.0:
                raise UserInputError(f"{name} is {share:g}: use more than 0 and at most 1")
        self._shares = {Lane.AUDIO: audio_share, Lane.VIDEO: video_share}
        self._one_core = (cores or os.cpu_count() or 1) == 1
        self._booked: dict[tuple[str, Lane], Booking] = {}
        self._lock = threading.Lock()

    def admit(self, demand: Demand, *, is_in: bool = False) -> int:
        """The highest quality that fits (0 is the highest), booked. A session's earlier booking in
        that lane is replaced. Raises OverloadError, and books nothing, where the lowest does not;
        is_in: the session is in already and wants less than before, so that the lowest is booked
        even then."""
        with self._lock:
            for rung in range(len(demand.rung_costs_ns)):
                if self._try(Booking(demand, rung), self._others):
                    return rung
            if not is_in:
                raise OverloadError(self._refusal(demand))
            lowest = len(demand.rung_costs_ns) - 1
            self._booked[demand.session, demand.lane] = Booking(demand, lowest)
            return lowest

    def rebook(self, session: str, lane: Lane, rung: int) -> bool:
        """A running session's quality becomes `rung`; False, and nothing changes, where a higher
        one does not fit. A lower one always does. False too for a session that was released, or
        has no such quality any more."""
        with self._lock:
            now = self._booked.get((session, lane))
            if now is None or not 0 <= rung < len(now.demand.rung_costs_ns):
                return False
            wanted = Booking(now.demand, rung)
            if rung >= now.rung:
                self._booked[session, lane] = wanted
                return True
            return self._try(wanted, self._planned)

    def learn(self, session: str, lane: Lane, rung: int, cost_ns: int) -> None:
        """A run of this session at that quality takes so long, as measured: whoever comes in is
        held against it. Those who are in keep to what was planned when they step up again, for a
        moment's load must not lock the way. Nothing, where the session has another quality now."""
        with self._lock:
            now = self._booked.get((session, lane))
            if now is not None and now.rung == rung:
                self._booked[session, lane] = replace(now, learnt_ns=cost_ns)

    def release(self, session: str) -> None:
        """Free what a session has booked in any lane; nothing where it has nothing."""
        with self._lock:
            for lane in Lane:
                self._booked.pop((session, lane), None)

    def load(self, lane: Lane) -> float:
        """What is booked of a lane's thread, 0 to its share, blocking counted in."""
        with self._lock:
            return load_of(self._others(lane, ""))

    def _others(self, lane: Lane, session: str) -> list[Booking]:
        return [b for (s, booked), b in self._booked.items() if booked == lane and s != session]

    def _planned(self, lane: Lane, session: str) -> list[Booking]:
        return [replace(booking, learnt_ns=0) for booking in self._others(lane, session)]

    def _share(self, lane: Lane, audio: Iterable[Booking]) -> float:
        if lane == Lane.AUDIO or not self._one_core:
            return self._shares[lane]
        return max(0.0, self._shares[lane] - sum(b.cost_ns / b.period_ns for b in audio))

    def _fits(self, wanted: Booking, others: Others) -> bool:
        session, lane = wanted.demand.session, wanted.demand.lane
        mine = [*others(lane, session), wanted]
        if load_of(mine) > self._share(lane, others(Lane.AUDIO, "")):
            return False
        if lane == Lane.AUDIO and self._one_core:  # and what video was promised must remain
            video = others(Lane.VIDEO, "")
            return not video or load_of(video) <= self._share(Lane.VIDEO, mine)
        return True

    def _try(self, wanted: Booking, others: Others) -> bool:
        fits = self._fits(wanted, others)
        if fits:
            self._booked[wanted.demand.session, wanted.demand.lane] = wanted
        return fits

    def _free_ns(self, demand: Demand, stride: int) -> int:
        """The dearest cost, in one piece every `stride` periods, that would still be admitted; to a
        microsecond."""
        least, most = 0, demand.period_ns
        while most - least > 1000:
            middle = (least + most) // 2
            probe = Demand(
                demand.session, demand.lane, demand.period_ns, (middle,), strides=(stride,)
            )
            least, most = (
                (middle, most) if self._fits(Booking(probe, 0), self._others) else (least, middle)
            )
        return least * stride

    def _refusal(self, demand: Demand) -> str:
        lane = demand.lane
        others = self._others(lane, demand.session)
        lowest = Booking(demand, len(demand.rung_costs_ns) - 1)
        what = {Lane.AUDIO: "block", Lane.VIDEO: "frame"}[lane]
        each = f"each {what}" if lowest.stride == 1 else f"one {what} in {lowest.stride}"
        quality = " at its lowest quality" if len(demand.rung_costs_ns) > 1 else ""
        beside = f", the {len(others)} there use {100 * load_of(others):.0f} %" if others else ""
        return (
            f"session '{demand.session}' needs {lowest.cost_ns / NS_PER_MS:.1f} ms for {each}"
            f"{quality}, every {lowest.period_ns / NS_PER_MS:.1f} ms;"
            f" {self._free_ns(demand, lowest.stride) / NS_PER_MS:.1f} ms are free"
            f" ({lane.name.lower()} sessions may use {100 * self._shares[lane]:.0f} % of a"
            f" thread{beside}): {REMEDY[lane]}"
        )
