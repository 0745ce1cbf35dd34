"""A speech WaveNet (R=64, S=256, A=256, 256 classes, 20 layers) played on a GPU; asked for: more
than 100,000 samples a second of one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from bunraku_kernels.registry import operators
from bunraku_kernels.wavenet_sample import WaveNetState, WaveNetWeights, wavenet_sample
from bunraku_kernels.wavenet_sample.examples import random_network
from case import Case

FRAMES = 512
RATE_HZ = 100_000
DILATIONS = tuple(2**i for i in range(10)) * 2


def network() -> WaveNetWeights:
    return random_network("categorical", 64, 256, 256, 256, DILATIONS)


def cases() -> list[Case]:
    asked = {"at most us": 1e6 * FRAMES / RATE_HZ}
    return [
        _case("bf16", 1, asked, eager=True),
        _case("fp32", 1),
        *(_case("bf16", batch) for batch in (16, 64, 256)),
        _case("fp32", 64),
    ]


def _case(
    weight_type: str, batch: int, asked: Mapping[str, float] | None = None, eager: bool = False
) -> Case:
    """`eager`: with PyTorch's operations as a peer, whose launches take about a second a run."""
    weights = network()

    def make(device: torch.device) -> Mapping[str, Callable[[], object]]:
        names = {"cuda": "cuda", **({"eager": "reference"} if eager else {})}
        here = operators()["wavenet_sample"].availability().here
        near = weights.to(device)
        return {
            name: player(near, batch, weight_type, impl)
            for name, impl in names.items()
            if impl in here
        }

    return Case(
        f"{weight_type} {batch} x {FRAMES}",
        make,
        bytes_moved(weights, batch, weight_type),
        2 * matrix_weights(weights) * batch * FRAMES,
        "fp32",
        asked or {},
    )


def player(
    weights: WaveNetWeights, batch: int, weight_type: str, impl: str
) -> Callable[[], object]:
    """Plays the next samples of `batch` streams."""
    shape = (batch, FRAMES, weights.layers, 2 * weights.residual_channels)
    generator = torch.Generator(weights.device).manual_seed(1)
    condition = torch.randn(shape, generator=generator, device=weights.device)
    state = WaveNetState.initial(weights, batch)
    return lambda: wavenet_sample(weights, condition, state, weight_type=weight_type, impl=impl)


def matrix_weights(weights: WaveNetWeights) -> int:
    """Weights that each sample is multiplied by; the last layer's residual is never heard."""
    matrices = (weights.past, weights.current, weights.residual[1:], weights.skip)
    return sum(m.numel() for m in (*matrices, weights.out, weights.end))


def bytes_moved(weights: WaveNetWeights, batch: int, weight_type: str) -> int:
    """Condition, history in and out, and samples; the weights once."""
    residual, each = weights.residual_channels, 4 if weight_type == "fp32" else 2
    per_sample = 4 * (weights.layers * (2 * residual + 2 * residual) + 1)
    return batch * FRAMES * per_sample + each * matrix_weights(weights)
