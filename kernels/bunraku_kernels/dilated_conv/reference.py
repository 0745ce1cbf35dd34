"""The definition of `dilated_conv` and of its gradients, one matrix product for each tap."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.dilated_conv.op import GATED
from bunraku_kernels.dtypes import computed_in_float32


@computed_in_float32
def forward(
    weight: Tensor, act: str, x: Tensor, bias: Tensor | None, condition: Tensor | None,
    mixin: Tensor | None, history: Tensor | None, residual_weight: Tensor | None,
    residual_bias: Tensor | None, skip_weight: Tensor | None, skip_bias: Tensor | None,
    dilation: int, alpha: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    z = _preactivation(weight, x, bias, condition, mixin, history, dilation)
    if act == GATED:
        value, gate = z.chunk(2, 1)
        h = torch.tanh(value) * torch.sigmoid(gate)
    else:
        h = ACTIVATIONS[act].value(z, alpha)
    x_out = x.new_empty(0)
    if residual_weight is not None:
        x_out = x + _mixed(residual_weight, h, residual_bias)
    return x_out, h if skip_weight is None else _mixed(skip_weight, h, skip_bias)


@computed_in_float32
def grad_preactivation(
    weight: Tensor, act: str, dx_out: Tensor | None, dskip: Tensor | None, x: Tensor,
    bias: Tensor | None, condition: Tensor | None, mixin: Tensor | None, history: Tensor | None,
    residual_weight: Tensor | None, skip_weight: Tensor | None,
    dilation: int, alpha: float, wants_h: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(dz, h): the gradient of z, and h if wanted. A gradient that is None is zero."""
    z = _preactivation(weight, x, bias, condition, mixin, history, dilation)
    dh: Tensor | float = 0.0
    if dx_out is not None and residual_weight is not None:
        dh = dh + _mixed(residual_weight.t(), dx_out)
    if dskip is not None:
        dh = dh + (dskip if skip_weight is None else _mixed(skip_weight.t(), dskip))
    if act == GATED:
        value, gate = z.chunk(2, 1)
        t, s = torch.tanh(value), torch.sigmoid(gate)
        h, dz = t * s, torch.cat([dh * s * (1 - t * t), dh * t * s * (1 - s)], 1)
    else:
        h, dz = ACTIVATIONS[act].value(z, alpha), dh * ACTIVATIONS[act].slope(z, alpha)
    return dz, h if wants_h else x.new_empty(0)


@computed_in_float32
def grad_input(
    weight: Tensor, act: str, dz: Tensor, dx_out: Tensor | None, mixin: Tensor | None,
    dilation: int, wants_x: bool, wants_history: bool, wants_condition: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(dx, dhistory, dcondition), each of no elements where it is not wanted."""
    batch, _, frames = dz.shape
    taps = weight.shape[2]
    span = (taps - 1) * dilation
    whole = dz.new_zeros(batch, weight.shape[1], span + frames)
    for k in range(taps):
        whole[:, :, k * dilation : k * dilation + frames] += _mixed(weight[:, :, k].t(), dz)
    dx, dhistory, dcondition = dz.new_empty(0), dz.new_empty(0), dz.new_empty(0)
    if wants_x:
        dx = whole[:, :, span:].clone(memory_format=torch.contiguous_format)
        if dx_out is not None:
            dx += dx_out
    if wants_history:
        dhistory = whole[:, :, :span].clone(memory_format=torch.contiguous_format)
    if wants_condition and mixin is not None:
        dcondition = _mixed(mixin.t(), dz)
    return dx, dhistory, dcondition


def _preactivation(
    weight: Tensor, x: Tensor, bias: Tensor | None, condition: Tensor | None,
    mixin: Tensor | None, history: Tensor | None, dilation: int,
) -> Tensor:  # fmt: skip
    taps, frames = weight.shape[2], x.shape[2]
    span = (taps - 1) * dilation
    before = x.new_zeros(x.shape[0], x.shape[1], span) if history is None else history
    whole = torch.cat([before, x], 2)
    z = torch.zeros((), dtype=x.dtype, device=x.device)
    for k in range(taps):
        z = z + _mixed(weight[:, :, k], whole[:, :, k * dilation : k * dilation + frames])
    if condition is not None and mixin is not None:
        z = z + _mixed(mixin, condition)
    return z if bias is None else z + bias[:, None]


def _mixed(weight: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    """A matrix applied to the channels of each frame."""
    mixed = torch.bmm(weight.expand(y.shape[0], *weight.shape), y)
    return mixed if bias is None else mixed + bias[:, None]
