"""Every kind of output, odd sizes, rings that wrap, silence and chance, empty calls."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bunraku_kernels.examples import Draw, Example, Tensors
from bunraku_kernels.wavenet_sample.op import wavenet_sample
from bunraku_kernels.wavenet_sample.state import WaveNetState
from bunraku_kernels.wavenet_sample.weights import Distribution, WaveNetWeights

# Samples are fed back, so rounding errors grow with their number.
FED_BACK = 10.0


def random_network(
    distribution: Distribution,
    residual: int,
    skip: int,
    hidden: int,
    outputs: int,
    dilations: tuple[int, ...],
    seed: int = 0,
) -> WaveNetWeights:
    """A float32 network of lively random weights: its choices are not near ties, as a rule."""
    draw, layers = Draw(seed), len(dilations)
    categorical = distribution == "categorical"

    def matrix(*shape: int, gain: float = 1.0) -> Tensor:
        return draw.normal(*shape, scale=gain / shape[-1] ** 0.5).float()

    def entry() -> Tensor:
        return draw.normal(*((outputs, residual) if categorical else (residual,))).float()

    def bias(*shape: int) -> Tensor:
        return draw.normal(*shape, scale=0.1).float()

    return WaveNetWeights(
        distribution, dilations, entry(), entry(), None if categorical else bias(residual),
        matrix(layers, 2 * residual, residual), matrix(layers, 2 * residual, residual),
        matrix(layers, residual, residual, gain=0.5), bias(layers, residual),
        matrix(layers, skip, residual), bias(skip), matrix(hidden, skip, gain=1.5), bias(hidden),
        matrix(outputs, hidden, gain=3.0), bias(outputs),
    )  # fmt: skip


def random_condition(weights: WaveNetWeights, batch: int, frames: int, seed: int = 1) -> Tensor:
    """float64 [batch, frames, L, 2R]"""
    return Draw(seed).normal(batch, frames, weights.layers, 2 * weights.residual_channels)


def examples() -> Iterator[Example]:
    classes = random_network("categorical", 12, 18, 20, 16, (1, 2, 4, 1, 3))
    yield _example("classes", classes, random_condition(classes, 3, 9))
    yield _example("likeliest classes", classes, random_condition(classes, 2, 9), temperature=0.0)
    # Strided in the two last dimensions.
    strided = random_condition(classes, 2, 10).transpose(2, 3).contiguous().transpose(2, 3)[:, ::2]
    yield _example("strided condition", classes, strided, seed=2**62 + 5)
    mixture = random_network("logistic", 8, 16, 16, 9, (1, 2, 4))
    yield _example("logistics", mixture, random_condition(mixture, 2, 8), temperature=0.7)
    yield _example("largest logistic", mixture, random_condition(mixture, 1, 6), temperature=0.0)
    normal = random_network("gaussian", 5, 7, 3, 2, (2, 1))
    yield _example("gaussian", normal, random_condition(normal, 2, 8))
    narrow = random_network("gaussian", 1, 1, 1, 2, (1,))
    yield _example("one channel", narrow, random_condition(narrow, 1, 5))
    yield _example("no streams", classes, random_condition(classes, 0, 4))
    yield _example("no samples", mixture, random_condition(mixture, 2, 0))


def _example(
    name: str, network: WaveNetWeights, condition: Tensor, temperature: float = 1.0, seed: int = 3
) -> Example:
    # Weights are no input of the example: they are packed once, not at each call.
    made = {("cpu", torch.float32): network, ("cpu", torch.float64): network.to(torch.float64)}

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        given = t["condition"]
        place = (given.device.type, given.dtype)
        if place not in made:
            made[place] = made["cpu", given.dtype].to(given.device)
        state = WaveNetState.initial(made[place], given.shape[0])
        samples = wavenet_sample(
            made[place], given, state, temperature=temperature, seed=seed, impl=impl
        )
        return samples, state.history, state.last, state.time

    return Example(
        name, {"condition": condition}, run, dtypes=(torch.float32,), scale=FED_BACK, discrete=True
    )
