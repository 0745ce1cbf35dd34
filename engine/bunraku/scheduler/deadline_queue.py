"""Earliest deadline first, audio before video, and no session's old frames."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bunraku.scheduler.job import Job, Lane

MOST_WAITING = {Lane.AUDIO: 8, Lane.VIDEO: 1}
"""Of one session; one more drops its oldest. So the newest video frame wins."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """A job in the queue. due_ns: the deadline it is sorted by; ready_ns: when it was pushed."""

    job: Job
    due_ns: int
    ready_ns: int


class DeadlineQueue:
    """Not thread-safe: whoever shares one holds a lock.

    A video frame that replaces an older one keeps the older one's place (its earlier `due_ns`):
    otherwise, under overload, a session whose deadlines fall a little after another's would never
    have its turn.
    """

    def __init__(self) -> None:
        # Few wait, for each session has a bound: a sorted list, from which what goes is gone, with
        # the frame that it holds.
        self._sorted: list[tuple[int, int, int, Waiting]] = []
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._sorted)

    def push(self, job: Job, ready_ns: int) -> Job | None:
        """Returns the job that had to go for it, if one had."""
        due_ns = job.deadline_ns
        of_session = [
            (number, entry)
            for lane, _, number, entry in self._sorted
            if lane == job.lane and entry.job.session == job.session
        ]
        dropped = None
        if len(of_session) >= MOST_WAITING[job.lane]:
            _, oldest = min(of_session)
            self.remove(oldest)
            dropped = oldest.job
            due_ns = min(due_ns, oldest.due_ns)
        self._insert(Waiting(job, due_ns, ready_ns))
        return dropped

    def _insert(self, entry: Waiting) -> None:
        self._pushed += 1  # among equals the first come is the first served
        bisect.insort(self._sorted, (entry.job.lane, entry.due_ns, self._pushed, entry))

    def pop(self) -> Waiting | None:
        """The most urgent job, or None."""
        return self._sorted.pop(0)[3] if self._sorted else None

    def __iter__(self) -> Iterator[Waiting]:
        """What waits, the most urgent first; it may be removed meanwhile."""
        return iter([entry for *_, entry in self._sorted])

    def remove(self, entry: Waiting) -> None:
        """Take out one that waits here."""
        self._sorted = [place for place in self._sorted if place[3] is not entry]

    def remove_session(self, session: str) -> int:
        """Take out all that a session has here; how many that were."""
        before = len(self._sorted)
        self._sorted = [place for place in self._sorted if place[3].job.session != session]
        return before - len(self._sorted)

    def move_to(self, other: DeadlineQueue, but: Iterable[str]) -> None:
        """All that waits goes to `other`, places kept, but for the sessions named."""
        staying = set(but)
        for entry in self:
            if entry.job.session not in staying:
                self.remove(entry)
                other._insert(entry)
