"""Earliest deadline first, audio first, newest frame wins, batches of what already waits."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Sequence

from bunraku.scheduler.batching import take_batch
from bunraku.scheduler.cost_model import CostKey
from bunraku.scheduler.deadline_queue import MOST_WAITING, DeadlineQueue
from bunraku.scheduler.job import Job, Lane
from hypothesis import given
from hypothesis import strategies as st

KEY = CostKey("blur", (640, 480))


def job(session: str, deadline_ns: int, lane: Lane = Lane.VIDEO, batch: str | None = None) -> Job:
    return Job(
        session=session,
        lane=lane,
        deadline_ns=deadline_ns,
        cost_key=KEY,
        run=lambda: None,
        batch_key=batch,
        run_batch=None if batch is None else lambda jobs: None,
    )


def drained(queue: DeadlineQueue) -> list[Job]:
    jobs = []
    while (entry := queue.pop()) is not None:
        jobs.append(entry.job)
    return jobs


PUSHES = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(list(Lane)), st.integers(0, 100)),
    max_size=60,
)


@given(PUSHES)
def test_audio_first_then_by_deadline_and_never_too_many(
    pushes: Sequence[tuple[str, Lane, int]],
) -> None:
    """After any pushes and pops; a job's place is its own deadline or that of one it replaced."""
    queue = DeadlineQueue()
    for k, (session, lane, deadline) in enumerate(pushes):
        queue.push(job(session, deadline, lane), k)
        if k % 7 == 6:
            assert queue.pop() is not None
    waiting = list(queue)
    popped = []
    while (entry := queue.pop()) is not None:
        popped.append(entry)
    assert popped == waiting
    order = [(entry.job.lane, entry.due_ns) for entry in popped]
    assert order == sorted(order)
    assert all(entry.due_ns <= entry.job.deadline_ns for entry in popped)
    of = Counter((entry.job.session, entry.job.lane) for entry in popped)
    assert all(count <= MOST_WAITING[lane] for (_, lane), count in of.items())
    assert len(queue) == 0


def test_the_newest_frame_wins_and_keeps_the_place() -> None:
    queue = DeadlineQueue()
    first, other, newer = job("a", 10), job("b", 20), job("a", 30)
    assert queue.push(first, 0) is None
    assert queue.push(other, 0) is None
    assert queue.push(newer, 1) is first
    assert drained(queue) == [newer, other]


def test_a_frame_that_was_replaced_is_let_go() -> None:
    class Frame:
        pass

    queue = DeadlineQueue()
    alive = []
    for k in range(100):
        frame = Frame()
        alive.append(weakref.ref(frame))
        queue.push(Job("a", Lane.VIDEO, k, CostKey("x"), lambda: None, payload=frame), k)
        del frame
    gc.collect()
    assert sum(one() is not None for one in alive) == 1


def test_the_first_come_is_first_among_equals() -> None:
    queue = DeadlineQueue()
    jobs = [job(name, 5) for name in "bca"]
    for each in jobs:
        queue.push(each, 0)
    assert drained(queue) == jobs


def test_audio_blocks_wait_in_order_and_the_oldest_of_too_many_goes() -> None:
    queue = DeadlineQueue()
    blocks = [job("a", k, Lane.AUDIO) for k in range(MOST_WAITING[Lane.AUDIO] + 1)]
    assert [queue.push(block, 0) for block in blocks] == [None] * (len(blocks) - 1) + [blocks[0]]
    assert set(drained(queue)) == set(blocks[1:])


def test_a_session_is_taken_out_whole() -> None:
    queue = DeadlineQueue()
    for each in (job("a", 1), job("a", 2, Lane.AUDIO), job("b", 3)):
        queue.push(each, 0)
    assert queue.remove_session("a") == 2
    assert [j.session for j in drained(queue)] == ["b"]


def test_a_move_keeps_places() -> None:
    queue, fresh = DeadlineQueue(), DeadlineQueue()
    for name, deadline in (("a", 1), ("b", 9), ("c", 5), ("b", 11)):
        queue.push(job(name, deadline), 0)
    queue.move_to(fresh, but={"a"})
    assert [j.session for j in drained(queue)] == ["a"]
    assert [(e.job.session, e.due_ns, e.job.deadline_ns) for e in fresh] == [
        ("c", 5, 5),
        ("b", 9, 11),
    ]


def test_a_batch_is_what_waits_with_the_same_key_and_is_due_soon() -> None:
    queue = DeadlineQueue()
    same = [job(name, due, batch="net") for name, due in (("a", 0), ("b", 20), ("c", 21))]
    for each in (*same, job("d", 3, batch="other"), job("e", 4), job("f", 1, Lane.AUDIO)):
        queue.push(each, 0)
    assert [e.job.session for e in take_batch(queue, 20)] == ["f"], "audio goes first, alone"
    assert [e.job.session for e in take_batch(queue, 20)] == ["a", "b"]
    assert [e.job.session for e in take_batch(queue, 20)] == ["d"]
    assert [e.job.session for e in take_batch(queue, 20)] == ["e"], "without a key: alone"
    assert [e.job.session for e in take_batch(queue, 20)] == ["c"]
    assert take_batch(queue, 20) == []


def test_a_batch_has_an_end() -> None:
    queue = DeadlineQueue()
    for k in range(5):
        queue.push(job(f"s{k}", 0, batch="net"), 0)
    assert [len(take_batch(queue, 20, most=3)) for _ in range(2)] == [3, 2]
