"""Runs tasks written in Python for the audio thread, block by block: one thread for all sessions
of the process."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from bunraku.scheduler.admission import Demand
from bunraku.scheduler.job import Lane
from bunraku.scheduler.job_source import NS_PER_S, Block, BlockSource, Bridge
from bunraku.scheduler.process_scheduler import ProcessScheduler, borrow_scheduler, give_back

_NUMBERS = itertools.count(1)


class BlockWorker:
    """Takes each block from `bridge`, runs `process` on it, puts the result back.

    `process` maps float32 `[channels, frames]` to the same shape. If it raises, or returns another
    shape, the worker ends, `error` holds the exception, and the bridge conceals from then on.
    Blocks of all workers share one thread, the one due first goes first; a `process` that hangs or
    never keeps pace gets that thread for itself and the others a fresh one.
    session: the name under which the scheduler's figures show it; it must not be in use.
    cost_ns: what a block costs, which is booked; `start` raises OverloadError where it cannot be
    kept beside what runs.
    """

    def __init__(
        self,
        bridge: Bridge,
        process: Callable[[Block], Block],
        *,
        session: str | None = None,
        cost_ns: int = 0,
    ) -> None:
        self._bridge = bridge
        self._process = process
        self.session = session or f"voice-{next(_NUMBERS)}"
        self._cost_ns = cost_ns
        self._scheduler: ProcessScheduler | None = None
        self.error: BaseException | None = None

    def start(self) -> None:
        scheduler = borrow_scheduler()
        try:
            scheduler.admission.admit(self._demand(self._cost_ns))
        except BaseException:
            give_back(scheduler)
            raise
        self._scheduler = scheduler
        executor = scheduler.executor
        executor.attach(
            BlockSource(
                self.session, self._bridge, self._process, executor.clock, on_error=self._fail
            )
        )

    def book(self, cost_ns: int) -> None:
        """Blocks cost something else from now on. Raises OverloadError, and the old cost stays."""
        if self._scheduler is not None:
            self._scheduler.admission.admit(self._demand(cost_ns))
        self._cost_ns = cost_ns

    def _demand(self, cost_ns: int) -> Demand:
        period_ns = round(NS_PER_S * self._bridge.block_frames / self._bridge.sample_rate_hz)
        return Demand(self.session, Lane.AUDIO, period_ns, (cost_ns,))

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Take no more blocks and wait; False if its task is still busy after the timeout.
        Idempotent; what was never started needs no stop."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is None:
            return True
        over = scheduler.executor.forget(self.session, timeout_s)
        scheduler.admission.release(self.session)
        give_back(scheduler)
        return over

    def _fail(self, error: BaseException) -> None:
        self.error = error
