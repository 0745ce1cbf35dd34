"""Where jobs come from that nobody submits: the ring in which the audio thread leaves blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bunraku.scheduler.clock import Clock
from bunraku.scheduler.cost_model import CostKey
from bunraku.scheduler.job import Job, Lane

Block = npt.NDArray[np.float32]

NS_PER_S = 1_000_000_000
SLACK_SHARE = 64
"""By what part of a period an arrival may be later than one period after the one before: 1.6 %, far
more than any clocks differ."""


class Bridge(Protocol):
    """The worker's end of `_native.RingBridge`."""

    @property
    def channels(self) -> int: ...
    @property
    def block_frames(self) -> int: ...
    @property
    def latency_frames(self) -> int: ...
    @property
    def sample_rate_hz(self) -> float: ...
    def take(self, timeout_s: float) -> tuple[int, Block] | None: ...
    def put(self, sequence: int, block: Block) -> bool: ...


class JobSource(Protocol):
    """Polled by one lane's thread. Only one of its jobs is out at a time: the rest waits where it
    came from, which knows best what to leave out."""

    session: str

    @property
    def period_ns(self) -> int: ...
    @property
    def expected_ns(self) -> int:
        """When the next job should be there."""

    @property
    def out(self) -> bool:
        """A job of it is queued or running, or failed: then it brings no more."""

    @property
    def overruns(self) -> int:
        """How many of its jobs in a row have taken longer than a period."""

    def poll(self, timeout_s: float) -> Job | None:
        """The next job, after waiting at most so long without the GIL; None while one is out."""


class BlockSource:
    """Blocks of `bridge` become jobs that run `process` and put the result back.

    process: float32 `[channels, frames]` to the same shape. A block is due the bridge's latency
    after its arrival, when the audio thread will play what became of it. The ring does not say when
    a block arrived, only that it is there: the arrival is the moment it was seen, or one period
    after the arrival before it where that is earlier, because the thread may have been busy
    elsewhere. Once `process` has failed no more blocks are taken, and the bridge conceals.
    """

    def __init__(
        self,
        session: str,
        bridge: Bridge,
        process: Callable[[Block], Block],
        clock: Clock,
        *,
        task: str = "audio effects",
        on_error: Callable[[BaseException], object] | None = None,
    ) -> None:
        self.session = session
        self._bridge = bridge
        self._process = process
        self._clock = clock
        self._on_error = on_error
        self._cost_key = CostKey(task, (bridge.channels, bridge.block_frames))
        self._period_ns = round(NS_PER_S * bridge.block_frames / bridge.sample_rate_hz)
        self._latency_ns = round(NS_PER_S * bridge.latency_frames / bridge.sample_rate_hz)
        self._last: tuple[int, int] | None = None  # sequence and arrival of the newest block seen
        self._out = False
        self._overruns = 0

    @property
    def period_ns(self) -> int:
        return self._period_ns

    @property
    def expected_ns(self) -> int:
        return 0 if self._last is None else self._last[1] + self._period_ns

    @property
    def out(self) -> bool:
        return self._out

    @property
    def overruns(self) -> int:
        return self._overruns

    def poll(self, timeout_s: float) -> Job | None:
        if self._out:
            return None
        taken = self._bridge.take(timeout_s)
        if taken is None:
            return None
        sequence, block = taken
        arrival_ns = self._arrival_ns(sequence, self._clock.now_ns())
        self._last = sequence, arrival_ns
        self._out = True
        return Job(
            session=self.session,
            lane=Lane.AUDIO,
            deadline_ns=arrival_ns + self._latency_ns,
            cost_key=self._cost_key,
            run=lambda: self._run(sequence, block),
            on_error=self._on_error,
        )

    def _arrival_ns(self, sequence: int, now_ns: int) -> int:
        if self._last is None:
            return now_ns
        last_sequence, last_ns = self._last
        periods = sequence - last_sequence
        return min(now_ns, last_ns + periods * (self._period_ns + self._period_ns // SLACK_SHARE))

    def _run(self, sequence: int, block: Block) -> None:
        began_ns = self._clock.now_ns()
        self._bridge.put(sequence, self._process(block))
        took_ns = self._clock.now_ns() - began_ns
        self._overruns = self._overruns + 1 if took_ns > self._period_ns else 0
        self._out = False
