"""One piece of work with a deadline: an audio block or a video frame of one session."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bunraku.scheduler.cost_model import CostKey


class Lane(IntEnum):
    """What a job is for; where both wait for one thread, the lower value goes first."""

    AUDIO = 0
    VIDEO = 1


@dataclass(frozen=True)
class Outcome:
    """How a job went; times are monotonic nanoseconds.

    jobs: how many ran in the same call, this one included.
    """

    ready_ns: int
    started_ns: int
    ended_ns: int
    deadline_ns: int
    jobs: int = 1

    @property
    def late(self) -> bool:
        return self.ended_ns > self.deadline_ns

    @property
    def run_ns(self) -> int:
        """This job's share of the call's time."""
        return (self.ended_ns - self.started_ns) // self.jobs

    @property
    def had_ns(self) -> int:
        """From its coming to its deadline: an audio block's own length, or as many as the bridge
        is deep."""
        return self.deadline_ns - self.ready_ns

    @property
    def response_ns(self) -> int:
        """Waiting and running: what TierControl wants to know."""
        return self.ended_ns - self.ready_ns


@dataclass(frozen=True, eq=False)
class Job:
    """run: does the work, on the lane's thread; may release the GIL, must not wait for other jobs.

    batch_key: jobs of one key may be run together by `run_batch`, which gets them in order of
        their deadlines; each finds its own input in `payload`. Both or neither.
    on_done, on_error: called on the lane's thread; brief, and never waiting for the executor. A
        job calls exactly one of them, or neither when it is dropped. What `on_done` itself raises
        is told to `on_error`, and the job counts as failed rather than done.
    """

    session: str
    lane: Lane
    deadline_ns: int
    cost_key: CostKey
    run: Callable[[], object]
    batch_key: Hashable | None = None
    run_batch: Callable[[Sequence[Job]], object] | None = None
    payload: object = None
    on_done: Callable[[Outcome], object] | None = None
    on_error: Callable[[BaseException], object] | None = None
