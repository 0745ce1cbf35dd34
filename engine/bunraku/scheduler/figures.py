"""What the executor counted: plain data for reports and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bunraku import _native
from bunraku.scheduler.job import Lane, Outcome


@dataclass(frozen=True)
class Durations:
    """Nanoseconds, at most 1.6 % too high, the maximum exact; all 0 when nothing was counted."""

    count: int = 0
    p50_ns: int = 0
    p99_ns: int = 0
    p999_ns: int = 0
    max_ns: int = 0


@dataclass(frozen=True)
class SessionFigures:
    """One session in one lane. lateness: of the jobs that ended after their deadline, by how much;
    response: waiting and running of every job; run: running alone, its share of a batch."""

    session: str
    lane: Lane
    done: int
    late: int
    dropped: int
    failed: int
    batched: int
    lateness: Durations
    response: Durations
    run: Durations


@dataclass(frozen=True)
class HungJob:
    """A job that runs far beyond its time, and keeps a thread to itself."""

    session: str
    lane: Lane
    running_ns: int


@dataclass(frozen=True)
class ExecutorStats:
    """banished: sessions that have a thread of their own because they held up the others.
    audio_prioritised: the operating system lets the audio thread go before other programs."""

    sessions: tuple[SessionFigures, ...]
    waiting: int
    hung: tuple[HungJob, ...]
    banished: tuple[str, ...]
    threads: int
    audio_prioritised: bool


@dataclass(eq=False)
class Account:
    """The counters of one session in one lane; one thread at a time counts, any reads. overruns:
    how many jobs in a row, up to the newest, ran longer than they had when they came."""

    session: str
    lane: Lane
    done: int = 0
    late: int = 0
    dropped: int = 0
    failed: int = 0
    batched: int = 0
    overruns: int = 0
    lateness: _native.DurationHistogram = field(default_factory=_native.DurationHistogram)
    response: _native.DurationHistogram = field(default_factory=_native.DurationHistogram)
    run: _native.DurationHistogram = field(default_factory=_native.DurationHistogram)

    def note_run(self, outcome: Outcome) -> None:
        """Of each job that was run, whether it is done or failed."""
        self.overruns = self.overruns + 1 if outcome.run_ns > outcome.had_ns else 0

    def count(self, outcome: Outcome) -> None:
        self.done += 1
        self.batched += outcome.jobs > 1
        self.response.add(max(0, outcome.response_ns))
        self.run.add(max(0, outcome.run_ns))
        if outcome.late:
            self.late += 1
            self.lateness.add(outcome.ended_ns - outcome.deadline_ns)

    def take_back(self, outcome: Outcome) -> None:
        """It was counted, but is a failure; how long it took stays."""
        self.done -= 1
        self.batched -= outcome.jobs > 1
        self.late -= outcome.late

    def figures(self) -> SessionFigures:
        lateness, response, run = (
            Durations(**histogram.summary())
            for histogram in (self.lateness, self.response, self.run)
        )
        return SessionFigures(
            session=self.session,
            lane=self.lane,
            done=self.done,
            late=self.late,
            dropped=self.dropped,
            failed=self.failed,
            batched=self.batched,
            lateness=lateness,
            response=response,
            run=run,
        )


class Ledger:
    """The accounts of all sessions, from their first job until they are forgotten."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, Lane], Account] = {}

    def open(self, session: str, lane: Lane) -> Account:
        found = self._accounts.get((session, lane))
        return found or self._accounts.setdefault((session, lane), Account(session, lane))

    def find(self, session: str, lane: Lane) -> Account | None:
        """None for one that was closed while its last job ran."""
        return self._accounts.get((session, lane))

    def close(self, session: str) -> None:
        for lane in Lane:
            self._accounts.pop((session, lane), None)

    def figures(self) -> Sequence[SessionFigures]:
        return [account.figures() for account in list(self._accounts.values())]
