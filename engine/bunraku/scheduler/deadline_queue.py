"""Earliest deadline first, audio before video, and no session's old frames."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bunraku.scheduler.job import Job, Lane

MOST_WAITING = {Lane.AUDIO: 8, Lane.VIDEO: 1}
"""Of one session; one more drops its oldest. So the newest video frame wins."""


@dataclass(eq=False)
class Waiting:
    """A job in the queue. due_ns: the deadline it is sorted by; ready_ns: when it was pushed."""

    job: Job
    due_ns: int
    ready_ns: int
    gone: bool = False


class DeadlineQueue:
    """Not thread-safe: whoever shares one holds a lock.

    A video frame that replaces an older one keeps the older one's place (its earlier `due_ns`):
    otherwise, under overload, a session whose deadlines fall a little after another's would never
    have its turn.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Waiting]] = []
        self._of: defaultdict[tuple[str, Lane], deque[Waiting]] = defaultdict(deque)
        self._pushed = 0

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def push(self, job: Job, ready_ns: int) -> Job | None:
        """Returns the job that had to go for it, if one had."""
        waiting = self._of[job.session, job.lane]
        dropped = None
        due_ns = job.deadline_ns
        if len(waiting) >= MOST_WAITING[job.lane]:
            oldest = waiting.popleft()
            oldest.gone, dropped = True, oldest.job
            due_ns = min(due_ns, oldest.due_ns)
        self._insert(Waiting(job, due_ns, ready_ns))
        return dropped

    def _insert(self, entry: Waiting) -> None:
        self._of[entry.job.session, entry.job.lane].append(entry)
        self._pushed += 1  # among equals the first come is the first served
        heapq.heappush(self._heap, (entry.job.lane, entry.due_ns, self._pushed, entry))

    def pop(self) -> Waiting | None:
        """The most urgent job, or None."""
        while self._heap:
            entry = heapq.heappop(self._heap)[3]
            if not entry.gone:
                self.remove(entry)
                return entry
        return None

    def __iter__(self) -> Iterator[Waiting]:
        """What waits, the most urgent first."""
        return (entry for *_, entry in sorted(self._heap) if not entry.gone)

    def remove(self, entry: Waiting) -> None:
        """Take out one that waits here."""
        entry.gone = True
        key = entry.job.session, entry.job.lane
        self._of[key].remove(entry)
        if not self._of[key]:
            del self._of[key]

    def remove_session(self, session: str) -> int:
        """Take out all that a session has here; how many that were."""
        entries = [w for lane in Lane for w in self._of.pop((session, lane), ())]
        for entry in entries:
            entry.gone = True
        return len(entries)

    def move_to(self, other: DeadlineQueue, but: Iterable[str]) -> None:
        """All that waits goes to `other`, places kept, but for the sessions named."""
        staying = set(but)
        for entry in list(self):
            if entry.job.session not in staying:
                self.remove(entry)
                other._insert(Waiting(entry.job, entry.due_ns, entry.ready_ns))
