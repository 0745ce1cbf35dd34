"""What a chain of effects costs on this machine, measured before the first frame is shown."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable

from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.compositing import covering
from bunraku.formats.picture_file import read_picture
from bunraku.samples import PORTRAIT_PATH
from bunraku.streaming.video_frame import VideoFrame

RUNS = 6


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


def calibrate(chain: VideoChain, frame: VideoFrame, tally: CostTally) -> dict[str, list[int]]:
    """Nanoseconds for each effect and analysis at each of its tiers. The chain is open and reports
    to `tally`; it is left at the dearest tiers, as after a cut, its models open."""
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
    chain.reset()
    costs_ns = {
        name: [tally.typical_ns(name, tier) for tier in range(len(chain.tier_names(name)))]
        for name in names
    }
    tally.finish()
    return costs_ns
