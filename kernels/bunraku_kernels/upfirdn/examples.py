"""Up, down and both, signals and images, separable and not, crops, both layouts, fused or alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.examples import Draw, Example, Tensors
from bunraku_kernels.upfirdn import upfirdn, upfirdn_bias_act

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
UP_2: dict[str, Any] = {"up": 2, "padding": (2, 1, 2, 1), "gain": 4.0}
DOWN_2: dict[str, Any] = {"down": 2, "padding": 1}
BLUR: dict[str, Any] = {"padding": (2, 1, 2, 1)}


def examples() -> Iterator[Example]:
    yield from _alone()
    yield from _fused()


def _alone() -> Iterator[Example]:
    outer = torch.outer(BINOMIAL, BINOMIAL)
    oblong = Draw(1).normal(3, 5).float()
    for name, sampling in (("up 2", UP_2), ("down 2", DOWN_2), ("blur", BLUR)):
        yield _example(name, Draw(2).normal(2, 1, 8, 16), BINOMIAL, sampling)
        yield _example(f"{name} channels last", _channels_last(3, 1, 8, 3, 4), outer, sampling)
    odd = {**UP_2, "padding": (3, 1, 1, 2)}
    yield _example("odd sizes", Draw(4).normal(1, 3, 7, 9), outer, odd)
    halves = {"up": (3, 2), "down": (2, 3), "padding": (2, 3, 1, 2), "flip_filter": True}
    yield _example("three halves", Draw(5).normal(1, 1, 7, 5), oblong, halves)
    yield _example("crops", Draw(6).normal(1, 2, 9, 11), oblong, {"padding": (-2, 1, -1, -3)})
    by_5 = {"up": 5, "padding": 4}
    yield _example("up odd", Draw(7).normal(1, 1, 3, 4), Draw(8).normal(6).float(), by_5)
    mixed = {"up": (2, 1), "down": (1, 2), "padding": (1, 2, 2, 1)}
    last = _channels_last(9, 1, 5, 4, 3)
    yield _example("channels last odd", last, Draw(10).normal(3).float(), mixed)
    strided = Draw(11).normal(1, 2, 8, 12)[:, :, ::2, 1::3]
    yield _example("not dense", strided, oblong, {"padding": 3})
    rate = {"up": 3, "down": 2, "padding": (4, -1)}
    yield _example("signal", Draw(12).normal(2, 3, 21), Draw(13).normal(7).float(), rate)
    yield _example("empty batch", Draw(14).normal(0, 2, 4, 4), BINOMIAL, UP_2)


def _fused() -> Iterator[Example]:
    for name, sampling in (("up 2", UP_2), ("down 2", DOWN_2), ("blur", BLUR)):
        settings = {**sampling, "activation": "lrelu", "clamp": 1.5}
        yield _example(f"fused {name}", Draw(30).normal(1, 2, 4, 8), BINOMIAL, settings)
    last = _channels_last(31, 1, 8, 2, 3)
    yield _example("fused channels last", last, BINOMIAL, {**UP_2, "activation": "relu"})
    for seed, name in enumerate(("linear", "tanh", "silu", "elu")):
        settings = {**DOWN_2, "activation": name, "clamp": 0.7}
        yield _example(f"fused {name}", Draw(32 + seed).normal(1, 2, 5, 4), BINOMIAL, settings)
    up_silu = {"up": 2, "padding": 1, "activation": "silu"}
    yield _example("fused signal", Draw(50).normal(1, 2, 11), BINOMIAL, up_silu, with_bias=False)


def _channels_last(seed: int, *shape: int) -> Tensor:
    return Draw(seed).normal(*shape).to(memory_format=torch.channels_last)


def _example(
    name: str, x: Tensor, f: Tensor, settings: dict[str, Any], with_bias: bool = True
) -> Example:
    fused = "activation" in settings
    bias = {"bias": Draw(99).normal(x.shape[1])} if fused and with_bias else {}

    # float32 whatever x is, so not among the tensors; a CUDA graph cannot capture its copy.
    kernels = {f.device: f}

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        device = t["x"].device
        if device not in kernels:
            kernels[device] = f.to(device)
        kernel = kernels[device]
        if not fused:
            return (upfirdn(t["x"], kernel, impl=impl, **settings),)
        others = {key: value for key, value in settings.items() if key != "gain"}
        filter_gain = settings.get("gain", 1.0)
        return (
            upfirdn_bias_act(
                t["x"], kernel, t.get("bias"), filter_gain=filter_gain, impl=impl, **others
            ),
        )

    # The gradient of the bias sums the rounded gradients of what it is added to.
    scale = 2.0 if fused else 1.0
    curved = settings.get("activation") in ("tanh", "silu", "elu", "relu")
    return Example(name, {"x": x, **bias}, run, ("x", *bias), second_order=curved, scale=scale)
