"""Every activation, odd shapes, both layouts, clamped and not, with and without bias."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.examples import Draw, Example, Tensors


def examples() -> Iterator[Example]:
    for seed, name in enumerate(ACTIVATIONS):
        yield _example(name, Draw(seed).normal(2, 3, 5, 7), 1, name, clamp=0.7)
    yield _example("no bias", Draw(20).normal(5, 33), None, "silu")
    yield _example("one dimension", Draw(21).normal(1025), 0, "lrelu")
    yield _example("last dimension", Draw(22).normal(3, 4, 8), -1, "lrelu")
    square = Draw(23).normal(2, 8, 6, 5)
    yield _example("channels last", square.to(memory_format=torch.channels_last), 1, "lrelu")
    yield _example("not dense", Draw(24).normal(4, 6, 10).transpose(0, 2)[::2], 1, "tanh")
    yield _example("whole vectors", Draw(25).normal(2, 16, 64), 1, "lrelu", clamp=1.5)
    yield _example("empty batch", Draw(26).normal(0, 4, 8), 1, "relu")


def _example(
    name: str, x: Tensor, dim: int | None, activation: str, clamp: float | None = None
) -> Example:
    bias = {} if dim is None else {"bias": Draw(99).normal(x.shape[dim])}

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        y = bias_act(
            t["x"], t.get("bias"), dim=dim or 0, activation=activation, clamp=clamp, impl=impl
        )
        return (y,)

    return Example(name, {"x": x, **bias}, run, ("x", *bias), second_order=True)
