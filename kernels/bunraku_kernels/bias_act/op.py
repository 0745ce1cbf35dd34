"""`bias_act`: y = clamp(gain * f(x + b), -c, c) in one pass, with first and second derivatives.

The form is that of StyleGAN2's layers (Karras et al., 2020), where bias, leaky ReLU, gain and
clamp follow each convolution. One pass reads x and writes y once, which bounds it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.activations import activation_named
from bunraku_kernels.checks import number, tensor_given, whole_number
from bunraku_kernels.dtypes import FLOAT_TYPES, refuses_float64
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.layout import laid_out_densely
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator

OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", refuses_float64),
        Implementation("triton", "triton_kernel", refuses_float64),
        Implementation("reference", "reference"),
    ),
)
NO_CLAMP = -1.0


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    *,
    dim: int = 1,
    activation: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "auto",
) -> Tensor:
    """clamp(gain * f(x + bias), -clamp, clamp), elementwise.

    x: any shape, float16, bfloat16, float32, or float64 (reference only). bias: [x.shape[dim]] of
    x's type, or None. activation: linear, relu, lrelu, tanh, sigmoid, silu, softplus, elu.
    alpha: slope of lrelu, height of elu; None takes 0.2 and 1. gain: None takes sqrt(2) for relu,
    lrelu and silu, else 1. clamp: positive, or None. Differentiable twice in x and bias.

    Returns y of x's shape and type; kernels compute in float32 whatever the type. Raises
    InvalidInputError, and ImplementationUnavailableError for an `impl` that does not work here.
    """
    OPERATOR.check(impl)
    if tensor_given("x", x).dtype not in FLOAT_TYPES:
        raise InvalidInputError(
            f"x is {x.dtype}: bias_act takes float16, bfloat16, float32 and float64"
        )
    at = 0 if bias is None else _checked_dim(x, tensor_given("bias", bias), dim)
    settings = (at, activation, *checked_activation(activation, alpha, gain, clamp), impl)
    result: Tensor = torch.ops.bunraku.bias_act(laid_out_densely(x), bias, *settings)
    return result


def checked_activation(
    activation: str, alpha: float | None, gain: float | None, clamp: float | None
) -> tuple[float, float, float]:
    """alpha, gain and clamp as the kernels take them."""
    act = activation_named(activation)
    limit = NO_CLAMP if clamp is None else number("clamp", clamp)
    if clamp is not None and limit <= 0:
        raise InvalidInputError(f"clamp={clamp}: a finite number above 0, or None for no clamp")
    return (
        act.alpha if alpha is None else number("alpha", alpha),
        act.gain if gain is None else number("gain", gain),
        limit,
    )


def _checked_dim(x: Tensor, bias: Tensor, dim: int) -> int:
    dim = whole_number("dim", dim)
    if not -x.ndim <= dim < x.ndim:
        raise InvalidInputError(
            f"dim={dim}: x has {x.ndim} dimensions, so -{x.ndim} to {x.ndim - 1}"
        )
    wanted = x.shape[dim]
    if tuple(bias.shape) != (wanted,) or bias.dtype != x.dtype or bias.device != x.device:
        raise InvalidInputError(
            f"bias is {bias.dtype} {list(bias.shape)} on {bias.device}: "
            f"x wants {x.dtype} [{wanted}] on {x.device}"
        )
    return dim % x.ndim


# ---- registration: forward, its gradient, and the gradient of that -------------------------------


@registered("bias_act", layouts={"x": laid_out_densely})
def _forward(
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
    impl: str,
) -> Tensor:
    run: Tensor = OPERATOR.run(impl, "forward", x, b, dim, act, alpha, gain, clamp)
    return run


@registered("bias_act_grad", layouts={"x": laid_out_densely, "dy": "x"})
def _grad(
    dy: Tensor, x: Tensor, b: Tensor | None,
    dim: int, act: str, alpha: float, gain: float, clamp: float, impl: str,
) -> Tensor:  # fmt: skip
    run: Tensor = OPERATOR.run(impl, "grad", dy, x, b, dim, act, alpha, gain, clamp)
    return run


@registered("bias_act_grad_of_grad", layouts={"x": laid_out_densely, "dy": "x", "ddx": "x"})
def _grad_of_grad(
    ddx: Tensor, dy: Tensor, x: Tensor, b: Tensor | None,
    dim: int, act: str, alpha: float, gain: float, clamp: float, impl: str,
) -> Tensor:  # fmt: skip
    run: Tensor = OPERATOR.run(impl, "grad_of_grad", ddx, dy, x, b, dim, act, alpha, gain, clamp)
    return run


@_forward.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


@_grad.register_fake
def _(dy: Tensor, x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


@_grad_of_grad.register_fake
def _(ddx: Tensor, dy: Tensor, x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, b, *ctx.settings = inputs
    ctx.save_for_backward(x, b)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    x, b = ctx.saved_tensors
    dx = torch.ops.bunraku.bias_act_grad(dy, x, b, *ctx.settings)
    return dx, _summed(dx, b, ctx.settings[0]), *(None for _ in ctx.settings)


def _keep_grad(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    dy, x, b, *ctx.settings = inputs
    ctx.save_for_backward(dy, x, b)


def _double_backward(ctx: Any, ddx: Tensor) -> tuple[Any, ...]:
    dy, x, b = ctx.saved_tensors
    ddy = torch.ops.bunraku.bias_act_grad(ddx, x, b, *ctx.settings)
    curved = torch.ops.bunraku.bias_act_grad_of_grad(ddx, dy, x, b, *ctx.settings)
    return ddy, curved, _summed(curved, b, ctx.settings[0]), *(None for _ in ctx.settings)


def _summed(dx: Tensor, b: Tensor | None, dim: int) -> Tensor | None:
    """The gradient of the bias: that of x, summed over all other dimensions."""
    if b is None:
        return None
    return dx.sum([d for d in range(dx.ndim) if d != dim]) if dx.ndim > 1 else dx.clone()


_forward.register_autograd(_backward, setup_context=_keep_forward)
_grad.register_autograd(_double_backward, setup_context=_keep_grad)
