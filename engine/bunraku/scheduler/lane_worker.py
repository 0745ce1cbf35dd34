"""One thread that runs jobs, earliest deadline first."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from bunraku.scheduler.batching import take_batch
from bunraku.scheduler.deadline_queue import DeadlineQueue, Waiting
from bunraku.scheduler.job import Job, Lane
from bunraku.scheduler.job_runner import JobRunner
from bunraku.scheduler.job_source import JobSource
from bunraku.scheduler.thread_priority import lower_thread, raise_thread

LEAST_POLL_S, MOST_POLL_S = 0.00025, 0.005
POLLS_A_PERIOD = 8


@dataclass(frozen=True)
class Running:
    """What the thread is at, and since when. forgotten: of its sessions those that were let go
    meanwhile, although they still hang in it."""

    batch: Sequence[Waiting]
    since_ns: int
    forgotten: set[str] = field(default_factory=set)

    @property
    def sessions(self) -> set[str]:
        return {entry.job.session for entry in self.batch} - self.forgotten


class LaneWorker:
    """Its thread begins with the first job or source and is a daemon, so that a job which never
    returns cannot keep the process. real_time: it asks for such priority, which the operating
    system may refuse (`prioritised`). Everything public may be called from any thread."""

    def __init__(
        self,
        name: str,
        runner: JobRunner,
        real_time: bool = False,
    ) -> None:
        self.name = name
        self.prioritised = False
        self._real_time = real_time
        self._runner = runner
        self._clock = runner.clock
        self._ledger = runner.ledger
        self._changed = threading.Condition()
        self._queue = DeadlineQueue()
        self._sources: dict[str, JobSource] = {}
        self._running: Running | None = None
        self._polled: JobSource | None = None  # in native code, waiting for its next block
        self._stopping = False
        self._thread: threading.Thread | None = None

    # ---- what others ask ------------------------------------------------------------------------

    def submit(self, job: Job) -> Job | None:
        """Queue `job`; the one that had to go for it, if one had. A stopped worker takes nothing:
        it returns `job`."""
        with self._changed:
            if self._stopping:
                return job
            from_source = job.lane == Lane.AUDIO and job.session in self._sources
            assert not from_source, f"the audio of {job.session} comes from its source"
            dropped = self._queue.push(job, self._clock.now_ns())
            account = self._ledger.open(job.session, job.lane)
            account.dropped += dropped is not None
            self._begin()
            self._changed.notify_all()
            return dropped

    def attach(self, source: JobSource) -> None:
        """Run what `source` brings, until `forget`."""
        with self._changed:
            assert source.session not in self._sources, f"{source.session} has a source already"
            self._sources[source.session] = source
            self._begin()
            self._changed.notify_all()

    def forget(self, session: str, timeout_s: float) -> bool:
        """Drop what a session has here and wait for its running job; False if that still runs. On
        the worker's own thread, from within a job, it does not wait."""
        with self._changed:
            source = self._sources.pop(session, None)
            self._queue.remove_session(session)

            def gone() -> bool:
                running = self._running is not None and session in self._running.sessions
                return not running and (source is None or self._polled is not source)

            if self._thread is threading.current_thread():
                return True
            over = self._changed.wait_for(gone, timeout_s)
            if not over and self._running is not None:
                self._running.forgotten.add(session)
            return over

    def give_others_to(self, fresh: LaneWorker, running: Running) -> bool:
        """Everything but what the sessions of `running` have here moves to `fresh`, which nobody
        else knows yet, and this thread loses its priority. False, and nothing happens, if that has
        ended meanwhile."""
        but = running.sessions
        with self._changed, fresh._changed:
            if self._running is not running:
                return False
            self._queue.move_to(fresh._queue, but)
            for session in [s for s in self._sources if s not in but]:
                fresh._sources[session] = self._sources.pop(session)
            if fresh._sources or len(fresh._queue):
                fresh._begin()
            if self.prioritised and self._thread is not None:
                self.prioritised = False
                lower_thread(self._thread.native_id or 0)
            return True

    def stop(self) -> None:
        """Ask the thread to end after the job it is at; what waits is dropped."""
        with self._changed:
            self._stopping = True
            self._sources.clear()
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """True once the thread has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self.alive

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def running(self) -> Running | None:
        return self._running

    def overruns_of(self, session: str) -> int:
        """How many of its audio blocks in a row, up to the newest, took longer than they last."""
        source = self._sources.get(session)
        if source is not None:
            return source.overruns
        account = self._ledger.find(session, Lane.AUDIO)
        return 0 if account is None else account.overruns

    # ---- the thread -----------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        if self._real_time:
            self.prioritised = raise_thread(threading.get_native_id())
        while (batch := self._next()) is not None:
            try:
                self._runner.perform(batch)
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()

    def _next(self) -> list[Waiting] | None:
        """Waits for work; None when the worker stops."""
        while True:
            with self._changed:
                if self._stopping:
                    return None
                for source in self._sources.values():
                    self._push(source.poll(0.0))
                batch = take_batch(self._queue)
                if batch:
                    self._running = Running(batch, self._clock.now_ns())
                    return batch
                ready = [source for source in self._sources.values() if not source.out]
                if not ready:
                    self._changed.wait(MOST_POLL_S if self._sources else None)
                    continue
                source = min(ready, key=lambda s: s.expected_ns)
                self._polled = source
            self._wait_for(source, self._pause_s(ready))

    def _wait_for(self, source: JobSource, pause_s: float) -> None:
        """Wait in native code where the next block should come first; jobs that come by another
        way wait meanwhile."""
        job = source.poll(pause_s)
        with self._changed:
            self._polled = None
            if self._sources.get(source.session) is source:
                self._push(job)
            self._changed.notify_all()

    def _pause_s(self, sources: Sequence[JobSource]) -> float:
        shortest_s = min(source.period_ns for source in sources) / 1e9
        return min(max(shortest_s / POLLS_A_PERIOD, LEAST_POLL_S), MOST_POLL_S)

    def _push(self, job: Job | None) -> None:
        if job is not None:
            self._ledger.open(job.session, job.lane)
            self._queue.push(job, self._clock.now_ns())
