"""The qualities of a chain of effects in one row, dearest first: what the scheduler steps along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STRIDES = (2, 3, 4)


@dataclass(frozen=True)
class Rung:
    """tiers: of each effect and analysis, by name; stride: every how many frames the chain runs,
    the result being held in between; cost_ns: what a camera frame costs, skipped ones counted in;
    fills: skipped ones are made up.
    """

    tiers: dict[str, int]
    stride: int
    cost_ns: int
    fills: bool = False


def quality_ladder(
    costs_ns: Mapping[str, Sequence[int]],
    *,
    overhead_ns: int = 0,
    lowest: Mapping[str, int] | None = None,
    filling_ns: Mapping[int, int] | None = None,
) -> tuple[Rung, ...]:
    """costs_ns[name][tier]: what an effect or analysis costs at a tier, measured. overhead_ns: of a
    frame whatever the tiers. lowest: tiers below which a name may not go. Each rung lowers the one
    whose next tier saves most; when all are lowered, frames are skipped. A tier that saves nothing
    is passed over. filling_ns: what it costs to make up so many skipped frames, None where they are
    not; where that takes more than skipping saves, they are not either."""
    allowed = {
        name: costs[: lowest[name] + 1] if lowest and name in lowest else costs
        for name, costs in costs_ns.items()
    }
    tiers = dict.fromkeys(allowed, 0)

    def rung(stride: int = 1, filling_ns: int | None = None) -> Rung:
        cost_ns = overhead_ns + sum(costs[tiers[name]] for name, costs in allowed.items())
        fills = filling_ns is not None
        return Rung(dict(tiers), stride, (cost_ns + (filling_ns or 0)) // stride, fills)

    ladder = [rung()]
    while (step := _best_saving(allowed, tiers)) is not None:
        name, tier = step
        tiers[name] = tier
        ladder.append(rung())
    for stride in STRIDES:
        filled = rung(stride, (filling_ns or {}).get(stride - 1))
        ladder.append(filled if filled.cost_ns < ladder[-1].cost_ns else rung(stride))
    return tuple(ladder)


def _best_saving(
    costs_ns: Mapping[str, Sequence[int]], tiers: Mapping[str, int]
) -> tuple[str, int] | None:
    """(name, its next cheaper tier) that saves most, or None when nothing does."""
    best: tuple[int, str, int] | None = None
    for name, costs in costs_ns.items():
        now = tiers[name]
        cheaper = next((t for t in range(now + 1, len(costs)) if costs[t] < costs[now]), None)
        if cheaper is not None and (best is None or costs[now] - costs[cheaper] > best[0]):
            best = costs[now] - costs[cheaper], name, cheaper
    return None if best is None else best[1:]
