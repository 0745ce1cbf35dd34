"""Runs jobs, and sees to it that what happens is counted and told to whom it belongs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from bunraku.scheduler.clock import Clock
from bunraku.scheduler.cost_model import CostModel
from bunraku.scheduler.deadline_queue import Waiting
from bunraku.scheduler.figures import Account, Ledger
from bunraku.scheduler.job import Job, Lane, Outcome

JobContext = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class JobRunner:
    """contexts: entered around each call of that lane."""

    clock: Clock
    costs: CostModel
    ledger: Ledger
    contexts: dict[Lane, JobContext]

    def perform(self, batch: Sequence[Waiting]) -> None:
        """A batch in one call, or a single job. Never raises."""
        first = batch[0].job
        if len(batch) > 1 and first.run_batch is not None:
            jobs = [entry.job for entry in batch]
            run_batch = first.run_batch
            if self._attempt(batch, lambda: run_batch(jobs)) is None:
                return
            # One of them fails the call: each alone, so that it fails for that one only.
        for entry in batch:
            error = self._attempt([entry], entry.job.run)
            if error is not None:
                self._fail(entry.job, error)

    def _attempt(self, batch: Sequence[Waiting], run: Callable[[], object]) -> BaseException | None:
        context = self.contexts.get(batch[0].job.lane, nullcontext)
        failure: BaseException | None = None
        started_ns = self.clock.now_ns()
        try:
            with context():
                run()
        except BaseException as error:  # a job's sys.exit is its own affair too
            failure = error
        ended_ns = self.clock.now_ns()
        for entry in batch:
            outcome = Outcome(
                entry.ready_ns, started_ns, ended_ns, entry.job.deadline_ns, len(batch)
            )
            account = self.ledger.find(entry.job.session, entry.job.lane)
            if account is not None:
                account.note_run(outcome)
            if failure is None:
                self._settle(entry.job, outcome, account)
        return failure

    def _settle(self, job: Job, outcome: Outcome, account: Account | None) -> None:
        self.costs.record(job.cost_key, outcome.run_ns)
        if account is not None:
            account.count(outcome)
        if job.on_done is not None:
            try:
                job.on_done(outcome)
            except BaseException as error:
                if account is not None:
                    account.take_back(outcome)
                self._fail(job, error)

    def _fail(self, job: Job, error: BaseException) -> None:
        """To whom it belongs. A handler that raises in its turn has nobody left to tell."""
        if (account := self.ledger.find(job.session, job.lane)) is not None:
            account.failed += 1
        if job.on_error is not None:
            with suppress(BaseException):
                job.on_error(error)
