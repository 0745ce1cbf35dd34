"""The scheduler that all sessions of a process share: it begins with the first, ends with the last.

scheduler = borrow_scheduler()
try:
    rung = scheduler.admission.admit(demand)
    scheduler.executor.submit(job)
finally:
    scheduler.admission.release(name)
    scheduler.executor.forget(name)
    give_back(scheduler)
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from bunraku.scheduler.admission import Admission
from bunraku.scheduler.clock import MonotonicClock
from bunraku.scheduler.cost_model import CostModel
from bunraku.scheduler.executor import Executor

STOP_TIMEOUT_S = 1.0


@dataclass(frozen=True, eq=False)
class ProcessScheduler:
    """One executor, what its jobs cost, and who was let in."""

    executor: Executor
    costs: CostModel
    admission: Admission


@dataclass
class _Shared:
    scheduler: ProcessScheduler | None = None
    borrowers: int = 0


_shared = _Shared()
_lock = threading.Lock()


def borrow_scheduler() -> ProcessScheduler:
    """The process's scheduler, running. Each call needs one `give_back`. What jobs cost outlives
    a scheduler: the next one begins with what the last one learnt."""
    with _lock:
        if _shared.scheduler is None or _shared.borrowers == 0:
            costs = CostModel() if _shared.scheduler is None else _shared.scheduler.costs
            executor = Executor(MonotonicClock(), costs, one_thread=os.cpu_count() == 1)
            executor.start()
            _shared.scheduler = ProcessScheduler(executor, costs, Admission())
        _shared.borrowers += 1
        return _shared.scheduler


def give_back(scheduler: ProcessScheduler) -> None:
    """The last one ends its threads; one whose job hangs is left behind after a second."""
    with _lock:
        assert scheduler is _shared.scheduler, "it was given back already"
        assert _shared.borrowers > 0, "each borrower gives back once"
        _shared.borrowers -= 1
        if _shared.borrowers == 0:
            scheduler.executor.stop(STOP_TIMEOUT_S)
