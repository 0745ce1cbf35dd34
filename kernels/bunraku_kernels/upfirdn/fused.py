"""`upfirdn_bias_act`: bias_act(upfirdn(x)) in one pass, as a generator's layers use them.

The backward pass needs u = upfirdn(x) again. It is recomputed inside the pass that multiplies dy by
the activation's slope: that reads x, where keeping u would write and read u. For up 2 that is a
quarter of u instead of two; for down 2, four instead of two, but no memory held for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.bias_act.op import checked_activation
from bunraku_kernels.checks import flag, number, tensor_given
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.layout import laid_out_densely
from bunraku_kernels.registration import registered
from bunraku_kernels.upfirdn import geometry
from bunraku_kernels.upfirdn.geometry import Pair
from bunraku_kernels.upfirdn.op import OPERATOR, adjoint, prepared


def upfirdn_bias_act(
    x: Tensor,
    f: Tensor,
    bias: Tensor | None = None,
    *,
    up: Pair = 1,
    down: Pair = 1,
    padding: Pair = 0,
    flip_filter: bool = False,
    filter_gain: float = 1.0,
    activation: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "auto",
) -> Tensor:
    """clamp(gain * activation(upfirdn(x, f) + bias)), without writing what lies between.

    x, f, up, down, padding, flip_filter and filter_gain are those of `upfirdn` (there: gain); bias
    [C] of x's type or None, activation, alpha, gain and clamp those of `bias_act`. What lies
    between is not rounded to x's type. Differentiable twice in x and bias; f is a constant.

    Returns the shape of `upfirdn`'s result; raises InvalidInputError, and
    ImplementationUnavailableError for an `impl` that does not work here.
    """
    OPERATOR.check(impl)
    shape = (activation, *checked_activation(activation, alpha, gain, clamp))
    planes, f, sampling = prepared(x, f, up, down, padding)
    if bias is not None:
        _check_bias(x, tensor_given("bias", bias))
    filtering = (flag("flip_filter", flip_filter), number("filter_gain", filter_gain))
    y: Tensor = torch.ops.bunraku.upfirdn_bias_act(
        planes, f, bias, *sampling, *filtering, *shape, impl
    )
    return y if x.ndim == 4 else y.squeeze(2)


def _check_bias(x: Tensor, bias: Tensor) -> None:
    channels = x.shape[1]
    if tuple(bias.shape) != (channels,) or bias.dtype != x.dtype or bias.device != x.device:
        raise InvalidInputError(
            f"bias is {bias.dtype} {list(bias.shape)} on {bias.device}: "
            f"x wants {x.dtype} [{channels}] on {x.device}"
        )


# ---- registration: forward, the slope's product, and the curve's ---------------------------------


@registered("upfirdn_bias_act", layouts={"x": laid_out_densely})
def _forward(
    x: Tensor, f: Tensor, b: Tensor | None,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], flip: bool, filter_gain: float,
    act: str, alpha: float, gain: float, clamp: float, impl: str,
) -> Tensor:  # fmt: skip
    run: Tensor = OPERATOR.run(
        impl, "fused", x, f, b, up, down, padding, flip, filter_gain, act, alpha, gain, clamp
    )
    return run


@registered("upfirdn_bias_act_grad", layouts={"x": laid_out_densely, "dy": "x"})
def _grad(
    x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], flip: bool, filter_gain: float,
    act: str, alpha: float, gain: float, clamp: float, impl: str,
) -> Tensor:  # fmt: skip
    """The gradient of u = upfirdn(x)."""
    run: Tensor = OPERATOR.run(
        impl, "fused_grad",
        x, f, b, dy, up, down, padding, flip, filter_gain, act, alpha, gain, clamp,
    )  # fmt: skip
    return run


@registered(
    "upfirdn_bias_act_grad_of_grad",
    layouts={"x": laid_out_densely, "dy": "x", "ddu": "x"},
)
def _grad_of_grad(
    x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor, ddu: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], flip: bool, filter_gain: float,
    act: str, alpha: float, gain: float, clamp: float, impl: str,
) -> Tensor:  # fmt: skip
    """What the gradient of `_grad` is worth at u."""
    run: Tensor = OPERATOR.run(
        impl, "fused_grad_of_grad",
        x, f, b, dy, ddu, up, down, padding, flip, filter_gain, act, alpha, gain, clamp,
    )  # fmt: skip
    return run


@_forward.register_fake
def _(
    x: Tensor, f: Tensor, b: Tensor | None,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], *_: Any,
) -> Tensor:  # fmt: skip
    return geometry.empty_output(x, f, up, down, padding)


@_grad.register_fake
def _(
    x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], *_: Any,
) -> Tensor:  # fmt: skip
    return geometry.empty_output(x, f, up, down, padding)


@_grad_of_grad.register_fake
def _(
    x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor, ddu: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], *_: Any,
) -> Tensor:  # fmt: skip
    return geometry.empty_output(x, f, up, down, padding)


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, b, *ctx.settings = inputs
    ctx.save_for_backward(x, f, b)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    x, f, b = ctx.saved_tensors
    du = torch.ops.bunraku.upfirdn_bias_act_grad(x, f, b, dy, *ctx.settings)
    return _to_x(ctx, du, x, f), None, _to_bias(du, b), *(None for _ in ctx.settings)


def _keep_grad(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, b, dy, *ctx.settings = inputs
    ctx.save_for_backward(x, f, b, dy)


def _double_backward(ctx: Any, ddu: Tensor) -> tuple[Any, ...]:
    x, f, b, dy = ctx.saved_tensors
    ddy = torch.ops.bunraku.upfirdn_bias_act_grad(x, f, b, ddu, *ctx.settings)
    curved = torch.ops.bunraku.upfirdn_bias_act_grad_of_grad(x, f, b, dy, ddu, *ctx.settings)
    return _to_x(ctx, curved, x, f), None, _to_bias(curved, b), ddy, *(None for _ in ctx.settings)


def _to_x(ctx: Any, du: Tensor, x: Tensor, f: Tensor) -> Tensor:
    up, down, padding, flip, filter_gain = ctx.settings[:5]
    return adjoint(du, f, x.shape[2:], up, down, padding, flip, filter_gain, ctx.settings[-1])


def _to_bias(du: Tensor, b: Tensor | None) -> Tensor | None:
    return None if b is None else du.sum((0, 2, 3))


_forward.register_autograd(_backward, setup_context=_keep_forward)
_grad.register_autograd(_double_backward, setup_context=_keep_grad)
