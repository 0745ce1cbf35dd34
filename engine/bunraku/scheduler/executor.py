"""Runs the audio blocks and video frames of all sessions of a process, each lane on one thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping

from bunraku.scheduler.clock import Clock
from bunraku.scheduler.cost_model import CostModel
from bunraku.scheduler.figures import ExecutorStats, HungJob, Ledger
from bunraku.scheduler.job import Job, Lane
from bunraku.scheduler.job_runner import JobContext, JobRunner
from bunraku.scheduler.job_source import JobSource
from bunraku.scheduler.lane_worker import LaneWorker, Running

HUNG_NS = {Lane.AUDIO: 100_000_000, Lane.VIDEO: 2_000_000_000}
HUNG_PERIODS = 4
MOST_OVERRUNS = 8
WATCH_S = 0.02
FORGET_TIMEOUT_S = 2.0


class Executor:
    """Two threads, one for each lane, both earliest deadline first; one for both where
    `one_thread`, audio then first. Threads begin with the first job.

    The audio thread asks for real-time priority: one thread that plays for many sessions must not
    wait for its turn among all the machine's.

    contexts: entered around each job of a lane, on its thread: a prioritised CUDA stream, say.

    No session can hold up the others for long. One whose job runs longer than 100 ms (audio) or 2 s
    (video), and than 4 times what it had, or whose audio blocks have taken longer than they last 8
    times in a row, keeps the thread it holds, and all others move to a fresh one.

    Everything may be called from any thread; never from the audio callback.
    """

    def __init__(
        self,
        clock: Clock,
        costs: CostModel,
        *,
        contexts: Mapping[Lane, JobContext] | None = None,
        one_thread: bool = False,
    ) -> None:
        self.clock = clock
        self.costs = costs
        self._ledger = Ledger()
        self._runner = JobRunner(clock, costs, self._ledger, dict(contexts or {}))
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        first = self._new_worker("lanes" if one_thread else "audio")
        second = first if one_thread else self._new_worker("video")
        self._workers = {Lane.AUDIO: first, Lane.VIDEO: second}
        self._banished: dict[tuple[str, Lane], LaneWorker] = {}
        self._stop_watching = threading.Event()
        self._watcher: threading.Thread | None = None
        self._started = self._stopped = False

    def _new_worker(self, name: str) -> LaneWorker:
        number = next(self._numbers)
        return LaneWorker(
            f"bunraku-{name}-{number}",
            self._runner,
            real_time=name == "audio",
        )

    # ---- work -----------------------------------------------------------------------------------

    def submit(self, job: Job) -> Job | None:
        """Queue `job`. A video job of the same session that still waits is dropped for it, counted
        and returned, as is the oldest of more than 8 audio jobs. Before `start` and after `stop`
        nothing is taken: `job` itself is returned."""
        with self._lock:
            if not self._started or self._stopped:
                return job
            return self._home_of(job.session, job.lane).submit(job)

    def attach(self, source: JobSource, lane: Lane = Lane.AUDIO) -> None:
        """Run what `source` brings until `forget(source.session)`. After `start` only."""
        with self._lock:
            assert self._started, "the executor was started"
            assert not self._stopped, "the executor was not stopped"
            self._home_of(source.session, lane).attach(source)

    def forget(self, session: str, timeout_s: float = FORGET_TIMEOUT_S) -> bool:
        """Drop all that a session has here, its figures too, and wait until nothing of it runs;
        False if a job of it still does after the timeout. From within its own job it does not
        wait."""
        end = time.monotonic() + timeout_s
        asked: set[LaneWorker] = set()
        over = True
        while True:
            with self._lock:
                workers = set(self._all_workers()) - asked
                if not workers:  # also none that was begun meanwhile
                    self._let_go(session)
                    return over
            for worker in workers:
                over &= worker.forget(session, max(0.0, end - time.monotonic()))
            asked |= workers

    def _let_go(self, session: str) -> None:
        for lane in Lane:
            worker = self._banished.pop((session, lane), None)
            if worker is not None and worker not in self._banished.values():
                worker.stop()
        self._ledger.close(session)

    def start(self) -> None:
        """Once."""
        assert not self._started, "an executor starts once"
        self._started = True
        self._watcher = threading.Thread(target=self._watch, name="bunraku-watch", daemon=True)
        self._watcher.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End all threads; what waits is dropped. False if a job still hangs after the timeout: its
        thread is left behind and `stats().hung` names it. Idempotent."""
        with self._lock:
            self._stopped = True
            workers = list(self._all_workers())
        self._stop_watching.set()
        for worker in workers:
            worker.stop()
        end = time.monotonic() + timeout_s
        ended = [worker.join(max(0.0, end - time.monotonic())) for worker in workers]
        if self._watcher is not None:
            self._watcher.join(max(WATCH_S, end - time.monotonic()))
        return all(ended)

    # ---- figures --------------------------------------------------------------------------------

    def stats(self) -> ExecutorStats:
        """Everything counted so far, of the sessions not yet forgotten."""
        with self._lock:
            workers = list(self._all_workers())
            banished = tuple(dict.fromkeys(session for session, _ in self._banished))
        now_ns = self.clock.now_ns()
        hung = [
            HungJob(entry.job.session, entry.job.lane, now_ns - running.since_ns)
            for worker in workers
            if (running := worker.running) is not None and self._is_hung(running, now_ns)
            for entry in running.batch
        ]
        return ExecutorStats(
            sessions=tuple(self._ledger.figures()),
            waiting=sum(worker.waiting for worker in workers),
            hung=tuple(hung),
            banished=banished,
            threads=sum(worker.alive for worker in workers),
            audio_prioritised=self._workers[Lane.AUDIO].prioritised,
        )

    # ---- those who hold up the others -----------------------------------------------------------

    def check(self) -> None:
        """One look at all threads, for sessions that hold up others; the watcher does it."""
        now_ns = self.clock.now_ns()
        with self._lock:
            for worker in set(self._workers.values()):
                running = worker.running
                if running is None or self._stopped:
                    continue
                if self._is_hung(running, now_ns) or self._never_keeps_pace(worker, running):
                    self._banish(worker, running)

    def _banish(self, worker: LaneWorker, running: Running) -> None:
        fresh = self._new_worker(worker.name.split("-")[1])
        if not worker.give_others_to(fresh, running):
            return
        self._workers = {lane: fresh if at is worker else at for lane, at in self._workers.items()}
        for entry in running.batch:
            if entry.job.session in running.sessions:
                self._banished[entry.job.session, entry.job.lane] = worker
        if not running.sessions:
            worker.stop()  # nobody is left to come back to it

    def _is_hung(self, running: Running, now_ns: int) -> bool:
        first = running.batch[0]
        had_ns = first.job.deadline_ns - first.ready_ns
        limit_ns = max(HUNG_NS[first.job.lane], HUNG_PERIODS * had_ns)
        return now_ns - running.since_ns > limit_ns

    def _never_keeps_pace(self, worker: LaneWorker, running: Running) -> bool:
        return running.batch[0].job.lane == Lane.AUDIO and any(
            worker.overruns_of(session) >= MOST_OVERRUNS for session in running.sessions
        )

    def _watch(self) -> None:
        while not self._stop_watching.wait(WATCH_S):
            self.check()

    def _home_of(self, session: str, lane: Lane) -> LaneWorker:
        return self._banished.get((session, lane), self._workers[lane])

    def _all_workers(self) -> Iterator[LaneWorker]:
        yield from {*self._workers.values(), *self._banished.values()}
