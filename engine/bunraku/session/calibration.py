"""What a chain of effects costs on this machine, measured before the first frame is shown."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.compositing import covering
from bunraku.effects.video.video_effect import VideoEffect, is_path
from bunraku.formats.picture_file import read_picture
from bunraku.samples import PORTRAIT_PATH
from bunraku.streaming.video_frame import VideoFrame

RUNS = 6
MOST_REMEMBERED = 64
MOST_AGE_S = 600.0
"""What was measured in a busy moment is not held against a chain for ever."""


class CostTally:
    """Collects what one chain reports of its effects and analyses, while it is calibrated; then
    hands it on. Give `add` to the chain as `on_cost`."""

    def __init__(self, hand_on: Callable[[str, int], None]) -> None:
        self._hand_on = hand_on
        self._collected: dict[tuple[str, int], list[int]] | None = None

    def add(self, name: str, tier: int, cost_ns: int) -> None:
        if self._collected is None:
            self._hand_on(name, cost_ns)
        else:
            self._collected[name, tier].append(cost_ns)

    def collect(self) -> None:
        self._collected = defaultdict(list)

    def finish(self) -> None:
        self._collected = None

    def typical_ns(self, name: str, tier: int) -> int:
        """The mean: an analysis that runs for every second frame costs half. The first run, which
        warms caches, is left out."""
        assert self._collected is not None, "it collects"
        costs = self._collected[name, tier][1:] or self._collected[name, tier] or [0]
        return round(statistics.fmean(costs))


def typical_frame(size: tuple[int, int]) -> VideoFrame:
    """What a webcam sees: without a person in it, tracking one would seem cheap."""
    return VideoFrame(covering(read_picture(str(PORTRAIT_PATH)), *size), 0)


@dataclass(frozen=True)
class Calibration:
    """costs_ns: nanoseconds for each effect and analysis at each of its tiers. failed: an effect
    did, and what it would have cost is not known."""

    costs_ns: dict[str, list[int]]
    failed: bool = False


def calibrate(chain: VideoChain, frame: VideoFrame, tally: CostTally) -> Calibration:
    """The chain is open and reports to `tally`; it is left at the dearest tiers, as after a cut,
    its models open."""
    tally.collect()
    names = list(chain.tiers)
    most = max((len(chain.tier_names(name)) for name in names), default=1)
    for depth in range(most):
        for name in names:
            chain.set_tier(name, min(depth, len(chain.tier_names(name)) - 1))
        for _ in range(RUNS):
            chain.process(frame)
    for name in names:
        chain.set_tier(name, 0)
    failed = bool(chain.errors)
    chain.reset()
    costs_ns = {
        name: [tally.typical_ns(name, tier) for tier in range(len(chain.tier_names(name)))]
        for name in names
    }
    tally.finish()
    return Calibration(costs_ns, failed)


class Calibrations:
    """What was measured of the last 64 chains, for those who come back to one: a preset that plays
    again begins at once. Each is forgotten after ten minutes. Any threads."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._known: OrderedDict[Hashable, tuple[float, Calibration]] = OrderedDict()
        self._lock = threading.Lock()

    def costs_ns(
        self, chain: VideoChain, frame: VideoFrame, tally: CostTally
    ) -> dict[str, list[int]]:
        """As `calibrate` measures them, or did; the chain is left as by that. A chain in which an
        effect fails is measured each time."""
        key = chain_key(chain, frame.size)
        known = self._find(key)
        if known is None or not warms_up(chain, frame, tally):
            known = calibrate(chain, frame, tally)
            self._keep(key, known)
        return {name: list(costs) for name, costs in known.costs_ns.items()}

    def forget(self, chain: VideoChain, size: tuple[int, int]) -> None:
        """Measure it when it comes again; it is still open."""
        with self._lock:
            self._known.pop(chain_key(chain, size), None)

    def _find(self, key: Hashable | None) -> Calibration | None:
        with self._lock:
            since_s, known = self._known.get(key, (0.0, None))
            return known if self._now_s() - since_s <= MOST_AGE_S else None

    def _keep(self, key: Hashable | None, measured: Calibration) -> None:
        with self._lock:
            self._known.pop(key, None)
            if key is not None and not measured.failed:
                self._known[key] = self._now_s(), measured
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)


calibrations = Calibrations()
"""The process's."""


def chain_key(chain: VideoChain, size: tuple[int, int]) -> Hashable | None:
    """Equal for chains that cost the same. All settings are in it, for any may change what a frame
    costs: a look of strength 0 is free. None: an effect that is not in the catalogue may be made of
    more than its settings."""
    effects = tuple(chain.effects.values())
    if not all(effect.name for effect in effects):
        return None
    return size, tuple(effect_key(effect) for effect in effects)


def effect_key(effect: VideoEffect) -> Hashable:
    """What plays it is in it too, and of files what changes when they are replaced."""
    fields = type(effect.settings).model_fields
    files = [getattr(effect.settings, name) for name, field in fields.items() if is_path(field)]
    marks = tuple(file_mark(file) for file in files if file is not None)
    return type(effect), effect.settings.model_dump_json(), getattr(effect, "says", ""), marks


def file_mark(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def warms_up(chain: VideoChain, frame: VideoFrame, tally: CostTally) -> bool:
    """One frame through a chain that was measured before, which is left as after a cut; whether all
    its effects bore it."""
    tally.collect()
    chain.process(frame)
    failed = bool(chain.errors)
    chain.reset()
    tally.finish()
    return not failed
