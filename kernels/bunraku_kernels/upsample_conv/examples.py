"""Each mode, stride and side path of the operator, small, with odd sizes and every layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.examples import Draw, Example, Tensors
from bunraku_kernels.upsample_conv import upsample_conv1d, upsample_conv2d

# Where f or the clamp has a corner, a rounded value may fall on the other side, and the gradient is
# another: those examples are drawn in eighths, odd so that none is 0, and stay exact in every type.
WIDE = (torch.float32,)
HALF = (torch.float16, torch.bfloat16)


def examples() -> Iterator[Example]:
    d = Draw(0)
    yield _picture("nearest", _eighths(d, 2, 3, 3, 5), 4, (3, 3), activation="lrelu", clamp=0.9)
    yield _picture("plain", d.normal(1, 5, 4, 3), 3, (3, 3), up=1, activation="silu")
    yield _picture("fir", _eighths(d, 1, 3, 3, 4), 2, (3, 3), mode="fir", activation="lrelu")
    yield _picture(
        "transposed", d.normal(1, 2, 3, 4), 3, (4, 3), up=3, mode="transposed", padding=(1, 0),
        output_padding=(0, 1), activation="tanh",
    )  # fmt: skip
    yield _picture("one pixel", d.normal(1, 3, 1, 1), 2, (1, 1), activation="elu", bias=False)
    last = _eighths(d, 2, 8, 3, 4).to(memory_format=torch.channels_last)
    yield _picture("channels last", last, 16, (3, 3), activation="lrelu")
    yield from _modulated(d.normal(2, 8, 3, 3).to(memory_format=torch.channels_last))
    yield _picture("style", d.normal(2, 3, 2, 3), 3, (3, 3), style=True, activation="softplus")
    yield _picture("weight norm", d.normal(1, 3, 2, 3), 3, (3, 3), demodulate=True, gain=0.7)
    yield _picture(
        "instance", d.normal(2, 3, 3, 4), 3, (3, 3), norm="instance", activation="tanh", bias=False
    )
    yield _picture(
        "instance channels last", d.normal(1, 4, 3, 3).to(memory_format=torch.channels_last), 3,
        (3, 3), mode="fir", norm="instance", activation="silu", bias=False,
    )  # fmt: skip
    yield _picture("not dense", d.normal(3, 4, 6, 2).transpose(0, 2)[::2, :, 1:], 3, (3, 3))
    yield _picture("empty batch", d.normal(0, 3, 4, 4), 2, (3, 3), activation="relu")
    yield _sound("vocoder", _eighths(d, 1, 6, 7), 3, 16, 8, padding=4, pre_activation="lrelu")
    yield _sound("two phases", d.normal(1, 8, 35), 5, 4, 2, padding=1, activation="tanh")
    yield _sound("odd rest", d.normal(2, 3, 9), 4, 7, 3, causal=True, pre_activation="sigmoid")
    yield _sound("time last", d.normal(1, 11, 8).transpose(1, 2), 4, 3, 5, output_padding=2)


def _modulated(x: Tensor) -> Iterator[Example]:
    """All of StyleGAN2's layer; its corners are not exact, so half types are held to values."""
    one = _picture(
        "modulated", x, 5, (3, 3), mode="fir", style=True, demodulate=True, activation="lrelu",
        clamp=1.1,
    )  # fmt: skip
    yield replace(one, dtypes=WIDE)
    yield replace(one, name="modulated halves", dtypes=HALF, differentiable=(), second_order=False)
    yield _picture("modulated smooth", x, 5, (3, 3), style=True, demodulate=True, activation="silu")


def _eighths(d: Draw, *shape: int) -> Tensor:
    return d.integers(-4, 4, *shape).double() / 4 + 0.125


def _picture(
    name: str, x: Tensor, out_channels: int, kernel: tuple[int, int], bias: bool = True,
    style: bool = False, **settings: Any,
) -> Example:  # fmt: skip
    d = Draw(len(name))
    fan_in = x.shape[1] * kernel[0] * kernel[1]
    weight = d.normal(out_channels, x.shape[1], *kernel, scale=fan_in**-0.5)
    exact = torch.equal(x, (8 * x).round() / 8)
    tensors = {"x": x, "weight": (4 * weight).round() / 4 if exact else weight}
    if bias:
        b = d.normal(out_channels)
        tensors["bias"] = (4 * b).round() / 4 + 1 / 64 if exact else b
    if style:
        tensors["style"] = 1 + d.normal(x.shape[0], x.shape[1], scale=0.3)

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        y = upsample_conv2d(
            t["x"], t["weight"], t.get("bias"), style=t.get("style"), impl=impl, **settings
        )
        return (y,)

    return Example(name, tensors, run, tuple(tensors), second_order=True)


def _sound(
    name: str, x: Tensor, out_channels: int, k: int, stride: int, **settings: Any
) -> Example:
    d = Draw(len(name))
    scale = (x.shape[1] * k / stride) ** -0.5
    weight, bias = d.normal(x.shape[1], out_channels, k, scale=scale), d.normal(out_channels)

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        y = upsample_conv1d(t["x"], t["weight"], t["bias"], stride=stride, impl=impl, **settings)
        return (y,)

    tensors = {"x": x, "weight": weight, "bias": bias}
    return Example(name, tensors, run, tuple(tensors), second_order=True)
