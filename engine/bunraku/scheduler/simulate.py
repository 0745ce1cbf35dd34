"""What would happen: periodic sessions under a trace of load, replayed on a simulated clock with
the scheduler's own queue, batching and tier control.

sessions = [SimulatedSession("ana", Lane.VIDEO, 33_333_333, (20_000_000, 9_000_000))]
game = LoadTrace((Slowdown(5_000_000_000, 7_000_000_000, 2.2),))
print(replay(sessions, game, 20_000_000_000).on_time_share("ana"))
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from bunraku.scheduler.batching import take_batch
from bunraku.scheduler.clock import SimulatedClock
from bunraku.scheduler.cost_model import CostKey
from bunraku.scheduler.deadline_queue import DeadlineQueue, Waiting
from bunraku.scheduler.job import Job, Lane
from bunraku.scheduler.tier_control import TierControl

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Slowdown:
    """From begin_ns until end_ns everything takes `factor` times as long; infinity is a stall."""

    begin_ns: int
    end_ns: int
    factor: float


@dataclass(frozen=True)
class LoadTrace:
    """slowdowns: in order, not overlapping. drift_per_s: by what share of itself a cost has grown
    after each second, 0.02 for 2 %."""

    slowdowns: tuple[Slowdown, ...] = ()
    drift_per_s: float = 0.0

    def end_of(self, begin_ns: int, work_ns: int) -> int:
        """When work that takes `work_ns` on a calm machine is done, if it begins at `begin_ns`."""
        left = work_ns * (1.0 + self.drift_per_s * begin_ns / NS_PER_S)
        now = float(begin_ns)
        for slow in self.slowdowns:
            if slow.end_ns <= now:
                continue
            before = max(0.0, slow.begin_ns - now)
            if left <= before:
                break
            left -= before
            now = max(now, slow.begin_ns)
            within = (slow.end_ns - now) / slow.factor
            if left <= within:
                return math.ceil(now + left * slow.factor)
            left -= within
            now = float(slow.end_ns)
        return math.ceil(now + left)


@dataclass(frozen=True)
class SimulatedSession:
    """costs_ns: of a frame at each quality, the dearest first; more than one: tier control chooses.
    In a batch each further frame costs `batch_share` of its own."""

    name: str
    lane: Lane
    period_ns: int
    costs_ns: tuple[int, ...]
    offset_ns: int = 0
    batch_key: Hashable | None = None
    batch_share: float = 1.0


@dataclass(frozen=True)
class SimulatedRun:
    session: str
    lane: Lane
    ready_ns: int
    started_ns: int
    ended_ns: int
    deadline_ns: int
    due_ns: int
    rung: int

    @property
    def late(self) -> bool:
        return self.ended_ns > self.deadline_ns


@dataclass
class Replay:
    """What happened. released, dropped: jobs of a session; rungs: (when, which) it changed to."""

    runs: list[SimulatedRun] = field(default_factory=list)
    released: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    rungs: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def of(self, session: str) -> list[SimulatedRun]:
        return [run for run in self.runs if run.session == session]

    def on_time_share(self, session: str) -> float:
        """Of all that were released, those that ran and ended by their deadline."""
        in_time = sum(not run.late for run in self.of(session))
        return in_time / self.released[session] if self.released[session] else 1.0


def replay(
    sessions: Sequence[SimulatedSession],
    load: LoadTrace,
    duration_ns: int,
    *,
    one_thread: bool = False,
) -> Replay:
    """Each lane has a thread, or both have one. Deterministic: the same call gives the same."""
    return _Simulation(sessions, load, one_thread).run(duration_ns)


@dataclass(eq=False)
class _Thread:
    queue: DeadlineQueue = field(default_factory=DeadlineQueue)
    batch: list[Waiting] = field(default_factory=list)
    started_ns: int = 0
    ended_ns: int = 0


class _Simulation:
    def __init__(
        self, sessions: Sequence[SimulatedSession], load: LoadTrace, one_thread: bool
    ) -> None:
        self._sessions = {session.name: session for session in sessions}
        assert len(self._sessions) == len(sessions), "names are different"
        self._load = load
        self._clock = SimulatedClock()
        audio = _Thread()
        self._threads = {Lane.AUDIO: audio, Lane.VIDEO: audio if one_thread else _Thread()}
        self._control = {
            s.name: TierControl(len(s.costs_ns), s.period_ns, costs_ns=s.costs_ns) for s in sessions
        }
        self._releases = [(s.offset_ns, i, s.name) for i, s in enumerate(sessions)]
        heapq.heapify(self._releases)
        names = self._sessions
        self._replay = Replay(
            [], dict.fromkeys(names, 0), dict.fromkeys(names, 0), {name: [] for name in names}
        )

    def run(self, duration_ns: int) -> Replay:
        threads = list(dict.fromkeys(self._threads.values()))
        while True:
            moments = [when for when, *_ in self._releases[:1]]
            moments += [thread.ended_ns for thread in threads if thread.batch]
            next_ns = min(moments, default=duration_ns + 1)
            if next_ns > duration_ns:
                return self._replay
            self._clock.advance_to(next_ns)
            for thread in threads:
                if thread.batch and thread.ended_ns <= next_ns:
                    self._finish(thread)
            while self._releases and self._releases[0][0] <= next_ns:
                self._release()
            for thread in threads:
                if not thread.batch:
                    self._begin(thread)

    def _release(self) -> None:
        now_ns, order, name = heapq.heappop(self._releases)
        session = self._sessions[name]
        heapq.heappush(self._releases, (now_ns + session.period_ns, order, name))
        job = Job(
            session=name,
            lane=session.lane,
            deadline_ns=now_ns + session.period_ns,
            cost_key=CostKey(name),
            run=lambda: None,
            batch_key=session.batch_key,
            run_batch=None if session.batch_key is None else lambda jobs: None,
        )
        dropped = self._threads[session.lane].queue.push(job, now_ns)
        self._replay.released[name] += 1
        self._replay.dropped[name] += dropped is not None

    def _begin(self, thread: _Thread) -> None:
        thread.batch = take_batch(thread.queue)
        if not thread.batch:
            return
        work = 0.0
        for k, entry in enumerate(thread.batch):
            session = self._sessions[entry.job.session]
            share = session.batch_share if k else 1.0
            work += share * session.costs_ns[self._control[session.name].rung]
        thread.started_ns = self._clock.now_ns()
        thread.ended_ns = self._load.end_of(thread.started_ns, round(work))

    def _finish(self, thread: _Thread) -> None:
        for entry in thread.batch:
            job, control = entry.job, self._control[entry.job.session]
            run = SimulatedRun(
                session=job.session,
                lane=job.lane,
                ready_ns=entry.ready_ns,
                started_ns=thread.started_ns,
                ended_ns=thread.ended_ns,
                deadline_ns=job.deadline_ns,
                due_ns=entry.due_ns,
                rung=control.rung,
            )
            self._replay.runs.append(run)
            before = control.rung
            after = control.observe(run.ended_ns, run.ended_ns - run.ready_ns, run.late)
            if after != before:
                self._replay.rungs[job.session].append((run.ended_ns, after))
        thread.batch = []
