"""Networks of every width of tile, activation and head, over rings shorter and longer than a block;
float32 only, because a stream remembers what it computed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bunraku_kernels.examples import Draw, Example, Tensors
from bunraku_kernels.wavenet_stream import (
    ArrayPlan,
    FeedforwardWaveNetWeights,
    LayerPlan,
    WaveNetPlan,
    open_streams,
    pack_weights,
    wavenet_stream,
)
from bunraku_kernels.wavenet_stream.limits import CORE_ACTIVATIONS


def examples() -> Iterator[Example]:
    standard_like = WaveNetPlan.a1(16, 8, (1, 5, 33), (2, 70))
    yield _example("two arrays", standard_like, 5, (64, 64, 9))
    yield _example("odd widths", WaveNetPlan.a1(11, 6, (1, 33), (40, 1)), 2, (65, 1, 1, 30))
    yield _example("narrow", WaveNetPlan.a1(3, 2, (1, 80), (3,)), 1, (16, 5, 40))
    long_head = ArrayPlan(8, (LayerPlan(6, 3), LayerPlan(15, 9, "lrelu", 0.01)), 1, 16, True)
    yield _example("long head", WaveNetPlan((long_head,)), 3, (20, 70, 16))
    pointwise = ArrayPlan(4, (LayerPlan(1, 1), LayerPlan(2, 1)), 1, 1, True)
    yield _example("no history", WaveNetPlan((pointwise,)), 1, (3, 17))
    for seed, name in enumerate(CORE_ACTIVATIONS):
        array = ArrayPlan(5, (LayerPlan(2, 3, name), LayerPlan(3, 2, name, 0.3)))
        yield _example(name, WaveNetPlan((array,)), 1, (8, 8), seed)


def _example(
    name: str, plan: WaveNetPlan, batch: int, blocks: tuple[int, ...], seed: int = 0
) -> Example:
    weights = random_weights(plan, seed)
    x = Draw(seed + 1).normal(batch, sum(blocks))
    # float32 numbers, because the examples' tensors are rounded apart from each other, which
    # would take `packed` away from `weights`.
    packed = pack_weights(plan, weights.float())
    tensors = {
        "x": x,
        "weights": packed.flat.double(),
        "packed": packed.packed.double(),
        "silence": packed.silence.double(),
        "program": packed.program,
    }

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        given = FeedforwardWaveNetWeights(
            plan, t["weights"], t["packed"], t["silence"], t["program"]
        )
        streams = open_streams(given, batch, impl=impl)
        parts = torch.split(t["x"], list(blocks), dim=1)
        played = [wavenet_stream(part, streams, impl=impl) for part in parts]
        return torch.cat(played, dim=1), streams.position.clone()

    return Example(name, tensors, run, dtypes=(torch.float32,))


def random_weights(plan: WaveNetPlan, seed: int) -> Tensor:
    """float64, of a size at which nothing saturates; head_scale is 0.5."""
    weights = Draw(seed).normal(plan.weight_count, scale=0.25)
    weights[-1] = 0.5
    return weights
