"""Resampling by 2 and blur with the binomial filter of four taps, alone and with what follows it in
a generator; and bias_act alone. Asked for: five times eager, 80 % of what a copy reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.registry import operators
from bunraku_kernels.upfirdn import upfirdn, upfirdn_bias_act
from case import Case, Run, compiled
from torch import Tensor

BATCH, CHANNELS, TAPS = 16, 128, 4
SAMPLINGS: Mapping[str, dict[str, Any]] = {
    "up 2": {"up": 2, "padding": (2, 1, 2, 1)},
    "down 2": {"down": 2, "padding": (1, 1, 1, 1)},
    "blur": {"padding": (2, 1, 2, 1)},
}
LRELU: dict[str, Any] = {"activation": "lrelu", "gain": 2**0.5, "clamp": 256.0}
ASKED = {"over eager": 5.0, "of copy bandwidth": 0.8}


def cases() -> list[Case]:
    found = []
    for dtype in (torch.float16, torch.float32):
        for sampling, size in (("up 2", 64), ("up 2", 128), ("down 2", 256), ("blur", 256)):
            found.append(_resampling(sampling, size, dtype, fused=True))
            found.append(_resampling(sampling, size, dtype, fused=False))
        found.append(_resampling("up 2", 128, dtype, fused=True, channels_last=True))
        found.append(_bias_act(256, dtype))
    return [*found, _on_cpu()]


def _resampling(
    sampling: str, size: int, dtype: torch.dtype, fused: bool, channels_last: bool = False
) -> Case:
    settings = SAMPLINGS[sampling]
    out = size * settings.get("up", 1) // settings.get("down", 1)
    planes = BATCH * CHANNELS
    met = (TAPS // settings.get("up", 1)) ** 2  # taps that meet a sample
    name = " ".join(
        (f"{sampling} {size} to {out}", "+ bias_act" if fused else "alone", _short(dtype))
        + (("channels last",) if channels_last else ())
    )

    def make(device: torch.device) -> Mapping[str, Run]:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        x = torch.randn(BATCH, CHANNELS, size, size, device=device, dtype=dtype)
        return _runs(x.contiguous(memory_format=layout), settings, fused)

    moved = planes * (size * size + out * out) * dtype.itemsize
    flop = planes * out * out * (2 * met + (4 if fused else 0))
    return Case(name, make, moved, flop, asked=ASKED if fused else {})


def _runs(x: Tensor, settings: Mapping[str, Any], fused: bool) -> dict[str, Run]:
    f = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device) / 8
    b = torch.randn(x.shape[1], device=x.device, dtype=x.dtype) if fused else None
    weight = torch.outer(f, f).to(x.dtype)[None, None]

    def ours(impl: str) -> Callable[[], Tensor]:
        if fused:
            return lambda: upfirdn_bias_act(x, f, b, impl=impl, **settings, **LRELU)
        return lambda: upfirdn(x, f, impl=impl, **settings)

    one_graph = compiled(eager)
    here = operators()["upfirdn"].availability().here
    runs: dict[str, Run] = {impl: ours(impl) for impl in here if impl != "reference"}
    runs["eager"] = lambda: eager(x, weight, b, **settings)
    runs["torch.compile"] = lambda: one_graph(x, weight, b, **settings)
    runs["cudnn"] = lambda: convolved(x, weight, b, **settings)
    return runs


def eager(
    x: Tensor, weight: Tensor, b: Tensor | None,
    padding: tuple[int, int, int, int], up: int = 1, down: int = 1,
) -> Tensor:  # fmt: skip
    """Step by step, as the definition reads."""
    n, c, h, w = x.shape
    spread = F.pad(x.reshape(-1, 1, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1))
    padded = F.pad(spread.reshape(n * c, 1, h * up, w * up), padding)
    y = F.conv2d(padded, weight, stride=down)
    return _activated(y.reshape(n, c, *y.shape[2:]), b)


def convolved(
    x: Tensor, weight: Tensor, b: Tensor | None,
    padding: tuple[int, int, int, int], up: int = 1, down: int = 1,
) -> Tensor:  # fmt: skip
    """With the library's transposed convolution, which visits no zeros."""
    channels = x.shape[1]
    each = weight.expand(channels, 1, *weight.shape[2:])
    if up == 2:
        y = F.conv_transpose2d(x, each, stride=2, padding=1, groups=channels)
    else:
        y = F.conv2d(F.pad(x, padding), each, stride=down, groups=channels)
    return _activated(y, b)


def _activated(y: Tensor, b: Tensor | None) -> Tensor:
    if b is None:
        return y
    slope = F.leaky_relu(y + b[:, None, None], 0.2)
    return torch.clamp(slope * LRELU["gain"], -LRELU["clamp"], LRELU["clamp"])


def _bias_act(size: int, dtype: torch.dtype) -> Case:
    count = BATCH * CHANNELS * size * size

    def make(device: torch.device) -> Mapping[str, Run]:
        x = torch.randn(BATCH, CHANNELS, size, size, device=device, dtype=dtype)
        b = torch.randn(CHANNELS, device=device, dtype=dtype)
        one_graph = compiled(_activated)
        here = operators()["bias_act"].availability().here
        runs: dict[str, Run] = {
            impl: lambda impl=impl: bias_act(x, b, impl=impl, **LRELU)
            for impl in here
            if impl != "reference"
        }
        runs["eager"] = lambda: _activated(x, b)
        runs["torch.compile"] = lambda: one_graph(x, b)
        return runs

    name = f"bias_act {size} x {size} {_short(dtype)}"
    return Case(name, make, 2 * count * dtype.itemsize, 4 * count, asked={"of copy bandwidth": 0.8})


def _on_cpu() -> Case:
    """The reference is all there is on a CPU: what a user without a GPU waits."""
    size, channels = 64, 8
    f = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8

    def make(device: torch.device) -> Mapping[str, Run]:
        x = torch.randn(1, channels, size, size, device=device)
        weight = torch.outer(f, f)[None, None].to(device)
        settings = SAMPLINGS["up 2"]
        return {
            "reference": lambda: upfirdn(x, f.to(device), impl="reference", **settings),
            "conv_transpose": lambda: convolved(x, weight, None, **settings),
        }

    moved = channels * 5 * size * size * 4
    flop = channels * 4 * size * size * 2 * (TAPS // 2) ** 2
    return Case(f"up 2 {channels} x {size}", make, moved, flop, devices=("cpu",))


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
