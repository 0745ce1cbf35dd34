"""What a task costs, learnt from measurement: the 99th percentile that admission counts with."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from bunraku.scheduler.clock import Clock, MonotonicClock

NS_PER_S = 1_000_000_000
WINDOW_NS = 8 * NS_PER_S
RECENT_NS = 1 * NS_PER_S
RECENT_SHARE = 0.9
MOST_SAMPLES = 1024
SAMPLES_TO_TRUST = 16
MOST_KEYS = 4096


@dataclass(frozen=True)
class CostKey:
    """What is done, at what size (pixels [width, height], or [channels, frames]), and where."""

    task: str
    size: tuple[int, ...] = ()
    device: str = "cpu"


@dataclass
class Samples:
    """Of one key: (when, cost), the newest last."""

    timed: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))

    def add(self, now_ns: int, cost_ns: int) -> None:
        self.timed.append((now_ns, cost_ns))
        while self.timed[0][0] < now_ns - WINDOW_NS:
            self.timed.popleft()

    def p99_ns(self) -> int:
        """Up at once with the last second, down only with the whole window."""
        newest_ns = self.timed[-1][0]
        window = sorted(cost for _, cost in self.timed)
        recent = sorted(cost for when, cost in self.timed if when > newest_ns - RECENT_NS)
        n = len(window)
        # A model's first run and a page fault are not its cost: with few samples the single largest
        # is left out, with many the largest hundredth.
        left_out = max(1, n // 100) if n >= SAMPLES_TO_TRUST else 0
        of_recent = recent[math.ceil(RECENT_SHARE * len(recent)) - 1]
        if len(recent) < SAMPLES_TO_TRUST // 2:
            of_recent = 0  # too few to be believed on their own
        return max(window[n - 1 - left_out], of_recent)


class CostModel:
    """p99 for each key over the last 8 s, and never less than the last second's 90th percentile.

    So a rise is followed within a second, a fall within 8 s, and a lone outlier counts only while
    there are fewer than 16 samples. Any threads; it locks, so never the audio callback's.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._samples: OrderedDict[CostKey, Samples] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, key: CostKey, cost_ns: int) -> None:
        """One run took `cost_ns`. Beyond 4,096 keys the one unused for longest is forgotten."""
        with self._lock:
            samples = self._samples.get(key)
            if samples is None:
                samples = self._samples[key] = Samples()
                if len(self._samples) > MOST_KEYS:
                    self._samples.popitem(last=False)
            self._samples.move_to_end(key)
            samples.add(self._clock.now_ns(), cost_ns)

    def p99_ns(self, key: CostKey, least_samples: int = 1) -> int | None:
        """None where less than `least_samples` are known of `key`."""
        with self._lock:
            samples = self._samples.get(key)
            if samples is None or len(samples.timed) < least_samples:
                return None
            return samples.p99_ns()
