"""Every activation, each optional part present and absent, odd sizes, short signals, history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.dilated_conv import dilated_conv
from bunraku_kernels.examples import Draw, Example, Tensors

EVERYTHING = ("bias", "condition", "history", "residual", "residual_bias", "skip", "skip_bias")


def examples() -> Iterator[Example]:
    yield _example("everything", EVERYTHING, frames=33)
    yield _example("whole vectors", EVERYTHING, batch=1, frames=40, dilation=8)
    yield _example("convolution alone", (), channels=3, hidden=5, taps=3)
    yield _example("one tap", ("bias", "skip"), taps=1)
    yield _example("no skip weights", ("bias", "condition", "residual"), frames=9)
    yield _example("dilation beyond the signal", ("residual", "history"), frames=5, dilation=9)
    yield _example("silence beyond the signal", ("residual", "skip"), frames=5, dilation=9)
    yield _example(
        "more channels than a tile", EVERYTHING, batch=1, channels=18, hidden=35, skips=67
    )
    yield _example(
        "more frames than a tile", ("residual",), frames=131, channels=2, hidden=2, dilation=4
    )
    yield _example("empty batch", EVERYTHING, batch=0)
    yield _example("no frames", ("residual", "skip"), frames=0)
    yield _example("not contiguous", ("condition", "residual", "skip"), transposed=True)
    for name in ACTIVATIONS:
        yield _example(name, ("bias", "residual", "residual_bias"), act=name, batch=1, frames=6)


def _example(
    name: str, parts: tuple[str, ...], *, act: str = "gated", batch: int = 2, channels: int = 4,
    hidden: int = 6, skips: int = 7, features: int = 5, taps: int = 2, dilation: int = 3,
    frames: int = 14, transposed: bool = False,
) -> Example:  # fmt: skip
    draw = Draw(len(name) + 100 * frames)
    outputs = 2 * hidden if act == "gated" else hidden

    def signal(rows: int, length: int) -> Tensor:
        if transposed:
            return draw.normal(batch, length, rows).transpose(1, 2)
        return draw.normal(batch, rows, length)

    sizes: dict[str, tuple[str, Callable[[], Tensor]]] = {
        "bias": ("bias", lambda: draw.normal(outputs)),
        "history": ("history", lambda: signal(channels, (taps - 1) * dilation)),
        "residual": ("residual_weight", lambda: draw.normal(channels, hidden, scale=hidden**-0.5)),
        "residual_bias": ("residual_bias", lambda: draw.normal(channels)),
        "skip": ("skip_weight", lambda: draw.normal(skips, hidden, scale=hidden**-0.5)),
        "skip_bias": ("skip_bias", lambda: draw.normal(skips)),
    }
    scale = (channels * taps) ** -0.5
    tensors = {
        "x": signal(channels, frames),
        "weight": draw.normal(outputs, channels, taps, scale=scale),
    }
    tensors.update({sizes[part][0]: sizes[part][1]() for part in parts if part in sizes})
    if "condition" in parts:
        tensors["condition"] = signal(features, frames)
        tensors["mixin"] = draw.normal(outputs, features, scale=features**-0.5)

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        given: dict[str, Any] = {**t, "dilation": dilation, "activation": act, "impl": impl}
        both = dilated_conv(**given)
        return both if "residual_weight" in t else both[1:]

    return Example(name, tensors, run, tuple(tensors))
