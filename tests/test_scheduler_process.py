"""The scheduler that a process shares begins with the first borrower and leaves nothing behind."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from bunraku import _native
from bunraku.scheduler.block_worker import BlockWorker
from bunraku.scheduler.process_scheduler import borrow_scheduler, give_back

PATIENCE_S = 20.0


def bunraku_threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("bunraku-")}


def bridge() -> _native.RingBridge:
    return _native.RingBridge(1, 64, 48_000.0)


def test_all_borrow_the_same_until_the_last_gives_back() -> None:
    first, second = borrow_scheduler(), borrow_scheduler()
    assert first is second
    give_back(first)
    assert borrow_scheduler() is second
    give_back(second)
    give_back(second)
    other = borrow_scheduler()
    assert other is not second
    assert other.costs is second.costs, "what jobs cost is still known"
    give_back(other)


def test_workers_share_one_thread_and_leave_none() -> None:
    before = bunraku_threads()
    seen: set[str] = set()

    def process(block: np.ndarray) -> np.ndarray:
        seen.add(threading.current_thread().name)
        return block

    for _ in range(20):
        bridges = [bridge() for _ in range(10)]
        workers = [BlockWorker(each, process) for each in bridges]
        for worker in workers:
            worker.start()
        for each in bridges:
            each.exchange(np.zeros((1, 64), np.float32))
        end = time.monotonic() + PATIENCE_S
        while not seen and time.monotonic() < end:
            time.sleep(0.001)
        assert len(seen) == 1
        seen.clear()
        assert all(worker.stop(PATIENCE_S) for worker in workers)
        seen.clear()
    assert bunraku_threads() == before


def test_a_worker_is_known_by_its_session() -> None:
    scheduler = borrow_scheduler()
    worker = BlockWorker(bridge(), lambda block: block, session="ana")
    worker.start()
    assert worker.stop()
    assert worker.stop(), "twice is once"
    give_back(scheduler)


def test_one_that_was_never_started_needs_no_stop() -> None:
    before = bunraku_threads()
    assert BlockWorker(bridge(), lambda block: block).stop()
    assert bunraku_threads() == before


def test_a_result_of_another_shape_is_the_workers_error() -> None:
    ring = bridge()
    worker = BlockWorker(ring, lambda block: block[:, 1:])
    worker.start()
    ring.exchange(np.zeros((1, 64), np.float32))
    end = time.monotonic() + PATIENCE_S
    while worker.error is None and time.monotonic() < end:
        time.sleep(0.001)
    assert worker.stop()
    assert isinstance(worker.error, ValueError)


def test_giving_back_too_often_is_a_mistake() -> None:
    scheduler = borrow_scheduler()
    give_back(scheduler)
    with pytest.raises(AssertionError):
        give_back(scheduler)
