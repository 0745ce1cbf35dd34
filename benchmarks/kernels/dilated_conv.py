"""One WaveNet layer over whole signals, as in training: forward, and forward with gradients.

The vocoder's sizes (64 channels, 256 skips) on 16,384 frames, and the 16 and 8 channels of
NeuralAmpModeler's networks. Asked for: forward with gradients three times as fast as eager PyTorch
and 1.3 times as fast as torch.compile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from bunraku_kernels.dilated_conv import dilated_conv
from bunraku_kernels.registry import operators
from case import Case, compiled
from torch import Tensor

Layer = Mapping[str, Tensor]
Function = Callable[[Layer, int], tuple[Tensor, Tensor]]
FRAMES = 16384
ASKED = {"over eager": 3.0, "over torch.compile": 1.3}


@dataclass(frozen=True)
class Sizes:
    channels: int
    hidden: int
    skips: int  # 0: h itself
    features: int
    taps: int
    dilation: int
    batch: int
    dtype: torch.dtype

    @property
    def name(self) -> str:
        kind = str(self.dtype).removeprefix("torch.")
        return (
            f"R{self.channels} S{self.skips} C{self.features} K{self.taps} d{self.dilation} "
            f"{self.batch} x {FRAMES} {kind}"
        )

    @property
    def macs(self) -> int:
        """Multiplications of a frame, forward; inputs' gradients have as many, and weights'."""
        z = 2 * self.hidden * (self.channels * self.taps + self.features)
        return z + self.hidden * (self.channels + self.skips)

    def elements(self, grad: bool) -> int:
        """Of a frame: x, condition, x_out and skip; their gradients read or written, and x and the
        condition read again."""
        inputs = self.channels + self.features
        outputs = self.channels + (self.skips or self.hidden)
        return (inputs + outputs) * (2 if grad else 1) + (inputs if grad else 0)


VOCODER = [
    Sizes(64, 64, 256, features, 2, dilation, batch, dtype)
    for features, dilation, batch, dtype in (
        (80, 8, 8, torch.bfloat16),
        (80, 1, 8, torch.bfloat16),
        (80, 512, 8, torch.bfloat16),
        (128, 64, 4, torch.float16),
        (80, 64, 16, torch.bfloat16),
        (80, 8, 8, torch.float32),
    )
]
NAM = [Sizes(n, n, 0, 1, 3, 16, 16, d) for n in (16, 8) for d in (torch.float32, torch.bfloat16)]


def cases() -> list[Case]:
    return [_case(sizes, grad) for sizes in (*VOCODER, *NAM) for grad in (False, True)]


def _case(sizes: Sizes, grad: bool) -> Case:
    def make(device: torch.device) -> Mapping[str, Callable[[], object]]:
        here = operators()["dilated_conv"].availability().here
        functions = {impl: _ours(impl) for impl in ("cuda", "triton") if impl in here}
        peers: dict[str, Function] = {"eager": eager, "torch.compile": compiled(eager)}
        run = _with_gradients if grad else _forward
        t = layer(sizes, device, grad)
        return {name: run(f, t, sizes) for name, f in {**functions, **peers}.items()}

    frames = sizes.batch * FRAMES
    return Case(
        sizes.name + (" with gradients" if grad else ""),
        make,
        bytes_moved=sizes.dtype.itemsize * frames * sizes.elements(grad),
        flop=2 * frames * sizes.macs * (3 if grad else 1),
        unit="fp32" if sizes.dtype == torch.float32 else "half",
        asked=ASKED if grad else {},
    )


def layer(sizes: Sizes, device: torch.device, grad: bool) -> Layer:
    generator = torch.Generator(device).manual_seed(1)

    def draw(*shape: int) -> Tensor:
        scale = shape[1] ** -0.5 if len(shape) > 1 else 0.1
        values = scale * torch.randn(*shape, generator=generator, device=device)
        return values.to(sizes.dtype).requires_grad_(grad)

    t = {
        "x": draw(sizes.batch, sizes.channels, FRAMES),
        "condition": draw(sizes.batch, sizes.features, FRAMES),
        "weight": draw(2 * sizes.hidden, sizes.channels, sizes.taps),
        "bias": draw(2 * sizes.hidden),
        "mixin": draw(2 * sizes.hidden, sizes.features),
        "residual_weight": draw(sizes.channels, sizes.hidden),
        "residual_bias": draw(sizes.channels),
    }
    if sizes.skips:
        t |= {"skip_weight": draw(sizes.skips, sizes.hidden), "skip_bias": draw(sizes.skips)}
    return t


def eager(t: Layer, dilation: int) -> tuple[Tensor, Tensor]:
    past = (t["weight"].shape[2] - 1) * dilation
    z = F.conv1d(F.pad(t["x"], (past, 0)), t["weight"], t["bias"], dilation=dilation)
    value, gate = (z + F.conv1d(t["condition"], t["mixin"][:, :, None])).chunk(2, 1)
    h = torch.tanh(value) * torch.sigmoid(gate)
    x_out = t["x"] + F.conv1d(h, t["residual_weight"][:, :, None], t["residual_bias"])
    if "skip_weight" not in t:
        return x_out, h
    return x_out, F.conv1d(h, t["skip_weight"][:, :, None], t["skip_bias"])


def _ours(impl: str) -> Function:
    return lambda t, dilation: dilated_conv(**t, dilation=dilation, impl=impl)


def _forward(function: Function, t: Layer, sizes: Sizes) -> Callable[[], object]:
    return lambda: function(t, sizes.dilation)


def _with_gradients(function: Function, t: Layer, sizes: Sizes) -> Callable[[], object]:
    shapes = (sizes.channels, sizes.skips or sizes.hidden)
    given = [torch.ones_like(t["x"][:, :1]).expand(-1, n, -1).contiguous().detach() for n in shapes]
    return lambda: torch.autograd.grad(function(t, sizes.dilation), list(t.values()), given)
