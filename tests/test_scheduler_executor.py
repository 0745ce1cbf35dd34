"""The executor's threads. Time is simulated where it matters; real waits end on events, and their
limits are far beyond what a busy machine needs."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from bunraku.scheduler.clock import MonotonicClock, SimulatedClock
from bunraku.scheduler.cost_model import CostKey, CostModel
from bunraku.scheduler.executor import Executor
from bunraku.scheduler.figures import SessionFigures
from bunraku.scheduler.job import Job, Lane, Outcome
from bunraku.scheduler.job_source import Block, BlockSource

KEY = CostKey("blur", (640, 480))
MS = 1_000_000
PATIENCE_S = 20.0


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(1000)


@pytest.fixture
def executor(clock: SimulatedClock) -> Iterator[Executor]:
    executor = Executor(clock, CostModel(clock))
    executor.start()
    yield executor
    executor.stop(PATIENCE_S)


def job(
    session: str,
    run: Callable[[], object],
    *,
    deadline_ns: int = 10**12,
    lane: Lane = Lane.VIDEO,
    **more: object,
) -> Job:
    return Job(session, lane, deadline_ns, KEY, run, **more)  # type: ignore[arg-type]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.001)


class Gate:
    """A job that begins, says so, and ends when it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.thread_id = threading.get_native_id()
        self.begun.set()
        assert self.open.wait(PATIENCE_S)


def closed_gate(executor: Executor, session: str = "gate", lane: Lane = Lane.VIDEO) -> Gate:
    gate = Gate()
    executor.submit(job(session, gate, lane=lane))
    assert gate.begun.wait(PATIENCE_S)
    return gate


def figures(executor: Executor, session: str) -> SessionFigures:
    return next(f for f in executor.stats().sessions if f.session == session)


def test_the_earliest_deadline_runs_first(executor: Executor) -> None:
    order: list[str] = []
    gate = closed_gate(executor)
    for name, deadline in (("c", 3), ("a", 1), ("b", 2)):
        executor.submit(job(name, lambda name=name: order.append(name), deadline_ns=deadline))
    gate.open.set()
    until(lambda: len(order) == 3)
    assert order == ["a", "b", "c"]


def test_the_newest_frame_of_a_session_wins(executor: Executor) -> None:
    ran: list[int] = []
    gate = closed_gate(executor)
    jobs = [job("a", lambda k=k: ran.append(k)) for k in range(3)]
    assert [executor.submit(j) for j in jobs] == [None, jobs[0], jobs[1]]
    gate.open.set()
    until(lambda: bool(ran))
    assert executor.forget("a", PATIENCE_S)
    assert ran == [2]


def test_a_running_frame_is_not_replaced(executor: Executor) -> None:
    gate = closed_gate(executor, "a")
    done = threading.Event()
    assert executor.submit(job("a", done.set)) is None
    gate.open.set()
    assert done.wait(PATIENCE_S)


def test_what_was_counted(executor: Executor, clock: SimulatedClock) -> None:
    outcomes: list[Outcome] = []
    gate = closed_gate(executor)
    for deadline_ms in (10, 30):
        dropped = executor.submit(
            job(
                "a",
                lambda: clock.advance(20 * MS),
                deadline_ns=1000 + deadline_ms * MS,
                on_done=outcomes.append,
            )
        )
    assert dropped is not None
    clock.advance(15 * MS)
    gate.open.set()
    until(lambda: bool(outcomes))
    (outcome,) = outcomes
    assert (outcome.run_ns, outcome.response_ns, outcome.late) == (20 * MS, 35 * MS, True)
    counted = figures(executor, "a")
    assert (counted.done, counted.late, counted.dropped, counted.failed) == (1, 1, 1, 0)
    assert counted.lateness.max_ns == 5 * MS
    assert counted.run.max_ns == 20 * MS
    assert counted.response.max_ns == 35 * MS
    assert executor.costs.p99_ns(KEY) == 20 * MS
    executor.forget("a")
    assert "a" not in {f.session for f in executor.stats().sessions}


def test_audio_does_not_wait_for_video(executor: Executor) -> None:
    gate = closed_gate(executor)
    heard = threading.Event()
    executor.submit(job("voice", heard.set, lane=Lane.AUDIO))
    assert heard.wait(PATIENCE_S)
    gate.open.set()


def test_on_one_thread_audio_goes_first(clock: SimulatedClock) -> None:
    executor = Executor(clock, CostModel(clock), one_thread=True)
    executor.start()
    order: list[str] = []
    gate = closed_gate(executor)
    executor.submit(job("v", lambda: order.append("video"), deadline_ns=1))
    executor.submit(job("a", lambda: order.append("audio"), deadline_ns=2, lane=Lane.AUDIO))
    gate.open.set()
    until(lambda: len(order) == 2)
    assert order == ["audio", "video"]
    assert executor.stats().threads == 1
    assert executor.stop(PATIENCE_S)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_goes_to_its_session_and_no_further(
    executor: Executor, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    errors: list[BaseException] = []
    done = threading.Event()
    executor.submit(job("bad", fail, on_error=errors.append))
    executor.submit(job("good", done.set))
    assert done.wait(PATIENCE_S)
    until(lambda: bool(errors))
    assert errors == [error]
    assert figures(executor, "bad").failed == 1
    assert figures(executor, "good").failed == 0


def test_a_handler_that_raises_harms_nobody(executor: Executor) -> None:
    def fail(*args: object) -> None:
        raise ValueError("again")

    done = threading.Event()
    executor.submit(job("bad", fail, on_error=fail))
    executor.submit(job("worse", lambda: None, on_done=fail))
    executor.submit(job("good", done.set))
    assert done.wait(PATIENCE_S)


def test_a_job_whose_handler_raises_is_not_done(executor: Executor, clock: SimulatedClock) -> None:
    def fail(outcome: Outcome) -> None:
        raise ValueError("told in vain")

    errors: list[BaseException] = []
    executor.submit(
        job("a", lambda: clock.advance(MS), deadline_ns=1, on_done=fail, on_error=errors.append)
    )
    until(lambda: bool(errors))
    counted = figures(executor, "a")
    assert (counted.done, counted.failed, counted.late, counted.batched) == (0, 1, 0, 0)


def test_jobs_that_share_a_model_run_in_one_call(executor: Executor) -> None:
    calls: list[list[object]] = []
    outcomes: list[Outcome] = []

    def run_batch(jobs: Sequence[Job]) -> None:
        calls.append([each.payload for each in jobs])

    gate = closed_gate(executor)
    for k in range(3):
        executor.submit(
            job(
                f"s{k}",
                lambda: None,
                deadline_ns=100 - k,
                batch_key="net",
                run_batch=run_batch,
                payload=k,
                on_done=outcomes.append,
            )
        )
    gate.open.set()
    until(lambda: len(outcomes) == 3)
    assert calls == [[2, 1, 0]]
    assert [outcome.jobs for outcome in outcomes] == [3, 3, 3]
    assert figures(executor, "s0").batched == 1


def test_a_batch_that_fails_is_run_one_by_one(executor: Executor) -> None:
    def run_one(name: str) -> None:
        if name == "bad":
            raise ValueError(name)
        done.append(name)

    def run_batch(jobs: Sequence[Job]) -> None:
        for each in jobs:
            if each.session == "bad":
                raise ValueError("one of them")

    done: list[str] = []
    errors: list[BaseException] = []
    gate = closed_gate(executor)
    for name in ("a", "bad", "b"):
        executor.submit(
            job(
                name,
                lambda name=name: run_one(name),
                batch_key="net",
                run_batch=run_batch,
                on_error=errors.append,
            )
        )
    gate.open.set()
    until(lambda: len(done) == 2 and bool(errors))
    assert done == ["a", "b"]
    assert [str(error) for error in errors] == ["bad"]


def test_a_context_is_entered_around_each_job_of_its_lane(clock: SimulatedClock) -> None:
    events: list[str] = []

    @contextmanager
    def stream() -> Iterator[None]:
        events.append(f"in {threading.current_thread().name.split('-')[1]}")
        yield
        events.append("out")

    executor = Executor(clock, CostModel(clock), contexts={Lane.VIDEO: stream})
    executor.start()
    executor.submit(job("a", lambda: events.append("run")))
    executor.submit(job("b", lambda: events.append("heard"), lane=Lane.AUDIO))
    until(lambda: len(events) == 4)
    assert executor.stop(PATIENCE_S)
    assert [e for e in events if e != "heard"] == ["in video", "run", "out"]


# ---- sessions that hold up the others -----------------------------------------------------------


@pytest.mark.parametrize("lane", list(Lane))
def test_a_job_that_hangs_keeps_its_thread_and_the_others_go_on(
    executor: Executor, clock: SimulatedClock, lane: Lane
) -> None:
    gate = Gate()
    executor.submit(job("hangs", gate, lane=lane, deadline_ns=clock.now_ns() + MS))
    assert gate.begun.wait(PATIENCE_S)
    done, again = threading.Event(), threading.Event()
    executor.submit(job("waits", done.set, lane=lane))
    executor.check()
    assert executor.stats().hung == ()
    clock.advance(2100 * MS)
    executor.check()
    assert done.wait(PATIENCE_S), "what waited behind it moved too"
    (hung,) = executor.stats().hung
    assert (hung.session, hung.lane, hung.running_ns) == ("hangs", lane, 2100 * MS)
    assert executor.stats().banished == ("hangs",)
    if sys.platform == "linux":
        assert os.sched_getscheduler(gate.thread_id) == os.SCHED_OTHER, "no core for what hangs"
    executor.submit(job("hangs", again.set, lane=lane))
    gate.open.set()
    assert again.wait(PATIENCE_S), "and it goes on itself, on the thread it kept"
    assert executor.stats().hung == ()
    assert executor.forget("hangs", PATIENCE_S)
    assert executor.stats().banished == ()


def test_forgetting_a_hanging_session_does_not_wait_for_ever(
    executor: Executor, clock: SimulatedClock
) -> None:
    gate = closed_gate(executor, "hangs")
    assert not executor.forget("hangs", 0.01)
    gate.open.set()
    assert executor.forget("hangs", PATIENCE_S)


def test_a_forgotten_session_that_hangs_does_not_keep_the_next_of_its_name(
    executor: Executor, clock: SimulatedClock
) -> None:
    gate = Gate()
    executor.submit(job("picture", gate, deadline_ns=clock.now_ns() + MS))
    assert gate.begun.wait(PATIENCE_S)
    assert not executor.forget("picture", 0.01)
    again = threading.Event()
    executor.submit(job("picture", again.set))
    clock.advance(2100 * MS)
    executor.check()
    assert again.wait(PATIENCE_S), "it moved away from the thread of the one before"
    assert executor.stats().banished == ()
    threads = executor.stats().threads
    gate.open.set()
    until(lambda: executor.stats().threads <= threads)
    assert executor.forget("picture", PATIENCE_S)


def test_stop_ends_all_threads_and_leaves_a_hanging_one_behind(clock: SimulatedClock) -> None:
    before = threading.active_count()
    executor = Executor(clock, CostModel(clock))
    executor.start()
    gate = closed_gate(executor)
    assert not executor.stop(0.05)
    clock.advance(10**13)
    assert [hung.session for hung in executor.stats().hung] == ["gate"]
    late = job("late", lambda: None)
    assert executor.submit(late) is late, "nothing is taken any more"
    gate.open.set()
    assert executor.stop(PATIENCE_S)
    assert threading.active_count() == before


def test_nothing_is_taken_before_the_start(clock: SimulatedClock) -> None:
    executor = Executor(clock, CostModel(clock))
    early = job("early", lambda: None)
    assert executor.submit(early) is early
    assert executor.stop()


def test_a_session_may_leave_from_within_its_own_job(executor: Executor) -> None:
    left: list[bool] = []
    executor.submit(job("a", lambda: left.append(executor.forget("a", PATIENCE_S))))
    until(lambda: bool(left))
    assert left == [True]


def test_sessions_come_and_go_without_a_trace() -> None:
    before = threading.active_count()
    for _ in range(20):
        executor = Executor(MonotonicClock(), CostModel())
        executor.start()
        done = [threading.Event() for _ in range(10)]
        for k, event in enumerate(done):
            executor.submit(job(f"s{k}", event.set, lane=Lane(k % 2)))
        assert all(event.wait(PATIENCE_S) for event in done)
        assert all(executor.forget(f"s{k}", PATIENCE_S) for k in range(10))
        assert executor.stats().sessions == ()
        assert executor.stop(PATIENCE_S)
    assert threading.active_count() == before


# ---- audio blocks -------------------------------------------------------------------------------


class FakeBridge:
    """A ring that the test fills; `takers` are the threads that took from it."""

    channels, block_frames, sample_rate_hz = 1, 480, 48_000.0
    depth_blocks = 1

    def __init__(self) -> None:
        self.blocks: list[tuple[int, Block]] = []
        self.put_back: list[int] = []
        self.takers: set[str] = set()
        self.inside = 0

    @property
    def latency_frames(self) -> int:
        return self.depth_blocks * self.block_frames

    def arrive(self, *sequences: int) -> None:
        self.blocks += [(k, np.full((1, 480), k, np.float32)) for k in sequences]

    def take(self, timeout_s: float) -> tuple[int, Block] | None:
        self.inside += 1
        assert self.inside == 1, "two threads read one ring"
        self.takers.add(threading.current_thread().name)
        if timeout_s and not self.blocks:
            time.sleep(timeout_s)
        taken = self.blocks.pop(0) if self.blocks else None
        self.inside -= 1
        return taken

    def put(self, sequence: int, block: Block) -> bool:
        if block.shape != (1, 480):
            raise ValueError(f"block has shape {block.shape}")
        self.put_back.append(sequence)
        return True


PERIOD_NS = 10 * MS


def test_a_block_is_due_one_period_after_it_arrived(clock: SimulatedClock) -> None:
    bridge = FakeBridge()
    source = BlockSource("a", bridge, lambda block: block, clock)
    bridge.arrive(0, 1, 2, 3)
    deadlines = []
    for seen_ms in (0, 10, 27, 30.1):  # the third was seen late: the thread was busy elsewhere
        clock.advance_to(1000 + round(seen_ms * MS))
        job = source.poll(0.0)
        assert job is not None
        assert source.poll(0.0) is None, "one at a time"
        deadlines.append((job.deadline_ns - 1000) / MS)
        job.run()
    slack = 10 / 64
    assert deadlines == pytest.approx([10, 20, 30 + slack, 40.1], abs=1e-5)
    assert bridge.put_back == [0, 1, 2, 3]


def test_a_block_of_a_deeper_bridge_has_longer(clock: SimulatedClock) -> None:
    bridge = FakeBridge()
    bridge.depth_blocks = 3
    source = BlockSource("a", bridge, lambda block: block, clock)
    bridge.arrive(0)
    clock.advance_to(1000)
    job = source.poll(0.0)
    assert job is not None
    assert job.deadline_ns == 1000 + 3 * PERIOD_NS
    assert source.period_ns == PERIOD_NS, "as often as before"


def test_blocks_that_were_skipped_count_as_time(clock: SimulatedClock) -> None:
    bridge = FakeBridge()
    source = BlockSource("a", bridge, lambda block: block, clock)
    bridge.arrive(0, 5)
    first = source.poll(0.0)
    assert first is not None
    first.run()
    clock.advance(50 * MS)
    second = source.poll(0.0)
    assert second is not None
    assert second.deadline_ns == first.deadline_ns + 50 * MS


def test_one_thread_serves_all_bridges(executor: Executor) -> None:
    bridges = [FakeBridge() for _ in range(5)]
    for k, bridge in enumerate(bridges):
        executor.attach(BlockSource(f"v{k}", bridge, lambda block: block, executor.clock))
        bridge.arrive(*range(10))
    until(lambda: all(bridge.put_back == list(range(10)) for bridge in bridges))
    assert len(set().union(*(bridge.takers for bridge in bridges))) == 1
    assert all(executor.forget(f"v{k}", PATIENCE_S) for k in range(5))
    until(lambda: not any(bridge.inside for bridge in bridges))
    bridges[0].arrive(10)
    assert bridges[0].blocks, "nobody takes it"


def test_blocks_of_all_sessions_go_by_deadline(executor: Executor, clock: SimulatedClock) -> None:
    """While one runs, a block of `b` arrives and then one of `a`: `b` is due first."""
    order: list[str] = []

    def effect(name: str) -> Callable[[Block], Block]:
        def process(block: Block) -> Block:
            order.append(f"{name}{int(block[0, 0])}")
            return block

        return process

    gate = closed_gate(executor, lane=Lane.AUDIO)
    first, second = FakeBridge(), FakeBridge()
    second.block_frames = 240
    executor.attach(BlockSource("a", first, effect("a"), clock))
    executor.attach(BlockSource("b", second, effect("b"), clock))
    first.arrive(0)
    second.arrive(0)
    gate.open.set()
    until(lambda: len(order) == 2)
    assert order == ["b0", "a0"], "5 ms before 10 ms"


def test_an_effect_that_fails_ends_alone(executor: Executor) -> None:
    errors: list[BaseException] = []
    bad, good = FakeBridge(), FakeBridge()
    executor.attach(
        BlockSource("bad", bad, lambda block: block[:, 1:], executor.clock, on_error=errors.append)
    )
    executor.attach(BlockSource("good", good, lambda block: block, executor.clock))
    bad.arrive(0, 1)
    good.arrive(0, 1, 2)
    until(lambda: good.put_back == [0, 1, 2] and bool(errors))
    assert "shape" in str(errors[0])
    assert len(bad.blocks) == 1, "its next block was left to the bridge"


def test_an_effect_that_never_keeps_pace_gets_the_thread_to_itself(
    executor: Executor, clock: SimulatedClock
) -> None:
    slow, good = FakeBridge(), FakeBridge()
    step = threading.Semaphore(0)

    def drag(block: Block) -> Block:
        assert step.acquire(timeout=PATIENCE_S)
        clock.advance(PERIOD_NS + MS)
        return block

    executor.attach(BlockSource("slow", slow, drag, clock))
    slow.arrive(*range(10))
    step.release(8)
    until(lambda: len(slow.put_back) == 8 and not slow.blocks[1:])
    executor.attach(BlockSource("good", good, lambda block: block, clock))
    good.arrive(0)
    until(lambda: executor.check() is None and executor.stats().banished == ("slow",))
    until(lambda: good.put_back == [0])
    step.release(2)
    until(lambda: slow.put_back == list(range(10)))
    assert not slow.takers & good.takers
    assert executor.forget("slow", PATIENCE_S)


class Drag:
    """Audio jobs that are submitted one after the other, each as long as the test says. `fails`:
    and then raise."""

    def __init__(self, executor: Executor, clock: SimulatedClock, fails: bool = False) -> None:
        self.executor, self.clock, self.fails = executor, clock, fails

    def run(self, took_ns: int, times: int = 1) -> None:
        for _ in range(times):
            ended = threading.Event()
            due_ns = self.clock.now_ns() + PERIOD_NS
            dragging = job(
                "slow",
                lambda: self._take(took_ns),
                lane=Lane.AUDIO,
                deadline_ns=due_ns,
                on_done=lambda outcome, ended=ended: ended.set(),
                on_error=lambda error, ended=ended: ended.set(),
            )
            assert self.executor.submit(dragging) is None
            assert ended.wait(PATIENCE_S)

    def _take(self, took_ns: int) -> None:
        self.clock.advance(took_ns)
        if self.fails:
            raise ValueError("and late besides")

    def held(self) -> Gate:
        """One more, that has not ended yet."""
        gate = closed_gate(self.executor, "slow", Lane.AUDIO)
        self.executor.check()
        return gate


@pytest.mark.parametrize("fails", [False, True])
def test_submitted_blocks_that_never_keep_pace_get_the_thread_to_themselves(
    executor: Executor, clock: SimulatedClock, fails: bool
) -> None:
    drag = Drag(executor, clock, fails)
    drag.run(PERIOD_NS + MS, times=7)
    drag.run(PERIOD_NS, times=1)  # in time: the row is broken
    drag.run(PERIOD_NS + MS, times=7)
    drag.held().open.set()
    assert executor.stats().banished == (), "seven in a row are not eight"
    drag.run(PERIOD_NS + MS, times=8)
    gate = drag.held()
    assert executor.stats().banished == ("slow",)
    heard = threading.Event()
    executor.submit(job("good", heard.set, lane=Lane.AUDIO))
    assert heard.wait(PATIENCE_S), "it does not wait for the slow one"
    counted = figures(executor, "slow")
    assert (counted.done, counted.failed) == ((1, 23) if fails else (24, 0))
    gate.open.set()
    assert executor.forget("slow", PATIENCE_S)
    assert executor.stats().banished == ()
    drag.run(PERIOD_NS + MS, times=7)
    drag.held().open.set()
    assert executor.stats().banished == (), "who comes back begins anew"


def test_who_waits_for_others_is_not_slow_itself(executor: Executor, clock: SimulatedClock) -> None:
    for _ in range(9):
        gate = closed_gate(executor, "other", Lane.AUDIO)
        done = threading.Event()
        due_ns = clock.now_ns() + PERIOD_NS
        executor.submit(job("waits", done.set, lane=Lane.AUDIO, deadline_ns=due_ns))
        clock.advance(2 * PERIOD_NS)
        gate.open.set()
        assert done.wait(PATIENCE_S)
    late = closed_gate(executor, "waits", Lane.AUDIO)
    executor.check()
    assert executor.stats().banished == ()
    assert figures(executor, "waits").late == 9
    late.open.set()
