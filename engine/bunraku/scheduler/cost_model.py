"""What a task costs, learnt from measurement: the 99th percentile that admission counts with."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from bunraku.errors import UserInputError
from bunraku.formats.bounded_json import Fields, parse
from bunraku.scheduler.clock import Clock, MonotonicClock

NS_PER_S = 1_000_000_000
WINDOW_NS = 8 * NS_PER_S
RECENT_NS = 1 * NS_PER_S
RECENT_SHARE = 0.9
MOST_SAMPLES = 1024
SAMPLES_TO_TRUST = 16
MOST_KEYS = 4096
MOST_NAME_CHARACTERS = 200
MOST_COST_MS = 3_600_000.0
FORMAT = 1


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
    there are fewer than 16 samples. prior: costs in ns known from before; used until 16 samples are
    there. Any threads; it locks, so never the audio callback's.
    """

    def __init__(
        self, clock: Clock | None = None, prior: Mapping[CostKey, int] | None = None
    ) -> None:
        self._clock = clock or MonotonicClock()
        self._prior = dict(prior or {})
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

    def p99_ns(self, key: CostKey) -> int | None:
        """None where nothing is known of `key`."""
        prior = self._prior.get(key)
        with self._lock:
            samples = self._samples.get(key)
            if samples is None or (prior is not None and len(samples.timed) < SAMPLES_TO_TRUST):
                return prior
            return samples.p99_ns()

    def to_json(self) -> str:
        """What is known now, for `from_json` of a later run."""
        known = {**self._prior, **{key: self.p99_ns(key) for key in list(self._samples)}}
        costs = [
            {
                "task": key.task,
                "size": list(key.size),
                "device": key.device,
                "p99_ms": round((cost_ns or 0) / 1e6, 6),
            }
            for key, cost_ns in list(known.items())[-MOST_KEYS:]
        ]
        return json.dumps({"format": FORMAT, "costs": costs}, indent=1)

    @classmethod
    def from_json(cls, text: str, clock: Clock | None = None) -> CostModel:
        """A model with the saved costs as its prior. Raises ModelFormatError or UserInputError."""
        top = parse(text.encode())
        if top.integer("format") != FORMAT:
            raise UserInputError(
                f"the saved costs have format {top.integer('format')}: this release reads {FORMAT};"
                " delete the file, costs are measured anew"
            )
        entries = list(top.objects("costs"))
        if len(entries) > MOST_KEYS:
            raise UserInputError(
                f"{len(entries)} saved costs: use up to {MOST_KEYS}; delete the file, costs are"
                " measured anew"
            )
        return cls(clock, dict(map(_read_cost, entries)))


def _read_cost(entry: Fields) -> tuple[CostKey, int]:
    cost_ms = entry.number("p99_ms")
    key = CostKey(entry.text("task"), tuple(entry.integers("size")), entry.text("device"))
    if not 0.0 <= cost_ms <= MOST_COST_MS:
        raise UserInputError(f"{entry.where('p99_ms')} is {cost_ms:g}: use 0 to {MOST_COST_MS:g}")
    if max(len(key.task), len(key.device)) > MOST_NAME_CHARACTERS or len(key.size) > 8:
        raise UserInputError(
            f"{entry.where('task')} is too long: use up to {MOST_NAME_CHARACTERS} characters and"
            " 8 sizes"
        )
    return key, round(cost_ms * 1e6)
