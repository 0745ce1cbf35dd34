"""Addresses and sizes for dilated_conv.cu."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.dilated_conv.op import GATED, empty_input_gradients, hidden_channels
from bunraku_kernels.dtypes import KERNEL_TYPES

FORWARD, GRAD_PREACTIVATION, GRAD_INPUT = range(3)


def forward(
    weight: Tensor, act: str, x: Tensor, bias: Tensor | None, condition: Tensor | None,
    mixin: Tensor | None, history: Tensor | None, residual_weight: Tensor | None,
    residual_bias: Tensor | None, skip_weight: Tensor | None, skip_bias: Tensor | None,
    dilation: int, alpha: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    batch, _, frames = x.shape
    hidden = hidden_channels(weight, act)
    skips = hidden if skip_weight is None else skip_weight.shape[0]
    x_out = x.new_empty(0) if residual_weight is None else torch.empty_like(x)
    skip = x.new_empty(batch, skips, frames)
    _launch(
        FORWARD, _arguments(weight, act, x, mixin, skips, dilation, alpha),
        x=x, weight=weight, bias=bias, condition=condition, mixin=mixin, history=history,
        residual_weight=residual_weight, residual_bias=residual_bias,
        skip_weight=skip_weight, skip_bias=skip_bias, x_out=x_out, skip=skip,
    )  # fmt: skip
    return x_out, skip


def grad_preactivation(
    weight: Tensor, act: str, dx_out: Tensor | None, dskip: Tensor | None, x: Tensor,
    bias: Tensor | None, condition: Tensor | None, mixin: Tensor | None, history: Tensor | None,
    residual_weight: Tensor | None, skip_weight: Tensor | None,
    dilation: int, alpha: float, wants_h: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    batch, _, frames = x.shape
    hidden = hidden_channels(weight, act)
    skips = hidden if skip_weight is None else skip_weight.shape[0]
    dz = x.new_empty(batch, weight.shape[0], frames)
    h = x.new_empty((batch, hidden, frames) if wants_h else (0,))
    _launch(
        GRAD_PREACTIVATION, _arguments(weight, act, x, mixin, skips, dilation, alpha),
        x=x, weight=weight, bias=bias, condition=condition, mixin=mixin, history=history,
        residual_weight=residual_weight, skip_weight=skip_weight, dx_out=dx_out, dskip=dskip,
        dz=dz, h=h,
    )  # fmt: skip
    return dz, h


def grad_input(
    weight: Tensor, act: str, dz: Tensor, dx_out: Tensor | None, mixin: Tensor | None,
    dilation: int, wants_x: bool, wants_history: bool, wants_condition: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    dx, dhistory, dcondition = empty_input_gradients(
        weight, dz, mixin, dilation, wants_x, wants_history, wants_condition
    )
    if dz.shape[2] == 0:
        return dx, dhistory.zero_(), dcondition
    _launch(
        GRAD_INPUT, _arguments(weight, act, dz, mixin, 0, dilation, 0.0),
        dz=dz, weight=weight, mixin=mixin, dx_out=dx_out,
        dx=dx, dhistory=dhistory, dcondition=dcondition,
    )  # fmt: skip
    return dx, dhistory, dcondition


def _arguments(
    weight: Tensor, act: str, signal: Tensor, mixin: Tensor | None, skips: int,
    dilation: int, alpha: float,
) -> Any:  # fmt: skip
    """The sizes; `signal` is any of the layer's, for batch and frames."""
    arguments = cuda_module().DilatedConvArguments()
    arguments.batch, _, arguments.frames = signal.shape
    _, arguments.channels, arguments.taps = weight.shape
    arguments.features = 0 if mixin is None else mixin.shape[1]
    arguments.hidden, arguments.skips = hidden_channels(weight, act), skips
    arguments.dilation, arguments.alpha = dilation, alpha
    arguments.activation = -1 if act == GATED else ACTIVATIONS[act].code
    return arguments


def _launch(which: int, arguments: Any, **tensors: Tensor | None) -> None:
    """Names of tensors are those of DilatedConvArguments; one of no elements is absent."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.numel() > 0:
            setattr(arguments, name, address(tensor))
    weight = tensors["weight"]
    assert weight is not None
    kind, module = KERNEL_TYPES.index(weight.dtype), cuda_module()
    size = module.dilated_conv_workspace(arguments, which, kind)
    workspace = torch.empty(size, dtype=torch.uint8, device=weight.device)
    arguments.workspace = address(workspace)
    module.dilated_conv(arguments, which, kind, cuda_stream(weight))
