"""The registered operators: the fused forward pass, the normalisation after it, and the two linear
gradients. Forward, input gradient and weight gradient are each other's gradients, so any order of
differentiation stays among them (and bias_act's)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.dtypes import HALF_TYPES, refuses_float64
from bunraku_kernels.layout import any_layout, laid_out_densely, laid_out_like
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator
from bunraku_kernels.upsample_conv import gradients
from bunraku_kernels.upsample_conv.gradients import memory_format_of
from bunraku_kernels.upsample_conv.reference import NORM_EPS
from bunraku_kernels.upsample_conv.weights import PhaseWeights

OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", refuses_float64),
        Implementation("triton", "triton_kernel", refuses_float64),
        Implementation("reference", "reference"),
    ),
)
NO_CLAMP = -1.0
# The sign of y tells their slope, so nothing is stored or computed again for the backward pass.
KNOWN_BY_SIGN = ("relu", "lrelu")


@dataclass(frozen=True)
class Epilogue:
    """Activation after the convolution: `clamp` below 0 is none."""

    activation: str = "linear"
    alpha: float = 0.0
    gain: float = 1.0
    clamp: float = NO_CLAMP


def phase_conv(
    x: Tensor,
    kernel: PhaseWeights,
    *,
    size: tuple[int, int],
    crop: tuple[int, int] | None = None,
    style: Tensor | None = None,
    demod: Tensor | None = None,
    bias: Tensor | None = None,
    pre: tuple[str, float] = ("linear", 0.0),
    epilogue: Epilogue = Epilogue(),
    normalize: bool = False,
    impl: str = "auto",
) -> Tensor:
    """clamp(gain * act(demod * conv(style * pre(x)) + bias)) with prepared weights; unchecked.

    x [N, I, H, W], any strides; style [N, I] and demod [N, O] in float32 (float64 for float64),
    bias [O] in x's type; -> [N, O, *size], channels-last where x is. crop: instead of the kernel's,
    congruent to it modulo the strides. normalize: the activation follows an instance normalisation.
    """
    at = (list(kernel.up), list(crop or kernel.crop), list(size), *pre)
    last = (epilogue.activation, epilogue.alpha, epilogue.gain, epilogue.clamp)
    held = ("linear", 0.0, 1.0, NO_CLAMP) if normalize else last
    result, stats = torch.ops.bunraku.upsample_conv(
        x, kernel.weights, style, demod, bias, *at, *held, normalize, impl
    )
    if normalize:
        result = torch.ops.bunraku.upsample_conv_normalize(result, stats, *last, impl)
    return result  # type: ignore[no-any-return]


# ---- forward ------------------------------------------------------------------------------------


@registered("upsample_conv", layouts={"x": any_layout})
def _forward(
    x: Tensor, weights: Tensor, style: Tensor | None, demod: Tensor | None, bias: Tensor | None,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int], pre: str, pre_alpha: float,
    act: str, alpha: float, gain: float, clamp: float, stats: bool, impl: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    run: tuple[Tensor, Tensor] = OPERATOR.run(
        impl, "forward", x, weights, style, demod, bias, up, crop, size,
        pre, pre_alpha, act, alpha, gain, clamp, stats,
    )  # fmt: skip
    return run


@_forward.register_fake
def _(
    x: Tensor, weights: Tensor, style: Tensor | None, demod: Tensor | None, bias: Tensor | None,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int], pre: str, pre_alpha: float,
    act: str, alpha: float, gain: float, clamp: float, stats: bool, impl: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    wide = torch.float32 if x.dtype in HALF_TYPES else x.dtype
    shape = (x.shape[0], weights.shape[3])
    y = torch.empty(
        (*shape, *size), dtype=x.dtype, device=x.device, memory_format=memory_format_of(x)
    )
    return y, x.new_empty((*shape, 2) if stats else (0,), dtype=wide)


@dataclass(frozen=True)
class _Call:
    """The arguments of a forward pass that are not tensors."""

    up: list[int]
    crop: list[int]
    size: list[int]
    pre: str
    pre_alpha: float
    act: str
    alpha: float
    gain: float
    clamp: float
    stats: bool
    impl: str

    @property
    def is_scaling(self) -> bool:
        return self.act == "linear" and self.clamp < 0

    @property
    def is_known_by_sign(self) -> bool:
        rising = self.gain > 0 and (self.act == "relu" or self.alpha > 0)
        return rising and self.act in KNOWN_BY_SIGN

    def linear(self, x: Tensor, weights: Tensor, style: Tensor | None, pre: bool) -> Tensor:
        """The convolution alone."""
        before = (self.pre, self.pre_alpha) if pre else ("linear", 0.0)
        return torch.ops.bunraku.upsample_conv(  # type: ignore[no-any-return]
            x, weights, style, None, None, self.up, self.crop, self.size, *before,
            "linear", 0.0, 1.0, NO_CLAMP, False, self.impl,
        )[0]  # fmt: skip


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weights, style, demod, bias, *rest = inputs
    ctx.call = _Call(*rest)
    y = output[0] if ctx.call.is_known_by_sign else None
    ctx.save_for_backward(x, weights, style, demod, bias, y)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Any, ...]:
    x, weights, style, demod, bias, y = ctx.saved_tensors
    call: _Call = ctx.call
    wants_x, wants_weights, wants_style, wants_demod, wants_bias, *_rest = ctx.needs_input_grad
    direct = call.is_scaling or y is not None
    z = call.linear(x, weights, style, pre=True) if wants_demod or not direct else None
    du = _through_activation(call, dy, y, z, demod, bias)
    dz = du if demod is None else _scaled(du, demod)
    before = _pre_activated(x, call)
    dx = dstyle = dweights = ddemod = None
    if wants_weights:
        source = before if style is None else _scaled(before, style)
        dweights = torch.ops.bunraku.upsample_conv_weight_grad(
            dz, source, call.up, call.crop, list(weights.shape[1:3]), call.impl
        )
    if wants_x or wants_style:
        dv = torch.ops.bunraku.upsample_conv_input_grad(
            dz, weights, call.up, call.crop, list(x.shape[2:]), call.impl
        )
        dstyle = _dot(dv, before, style) if wants_style else None
        dx = _through_pre(dv if style is None else _scaled(dv, style), x, call)
    if wants_demod:
        ddemod = _dot(du, z, demod)
    dbias = du.sum((0, 2, 3)) if wants_bias else None
    return dx, dweights, dstyle, ddemod, dbias, *(None for _ in range(11))


def _through_activation(
    call: _Call, dy: Tensor, y: Tensor | None, z: Tensor | None, demod: Tensor | None,
    bias: Tensor | None,
) -> Tensor:  # fmt: skip
    if call.is_scaling:
        return dy if call.gain == 1 else dy * call.gain
    if y is not None:
        if call.clamp >= 0:  # compared in y's type, in which the clamp was rounded
            limit = torch.full((), call.clamp, dtype=y.dtype, device=y.device)
            dy = torch.where(y.abs() < limit, dy, torch.zeros_like(dy))
        at, bias, clamp = y.detach(), None, NO_CLAMP
    else:
        assert z is not None
        at, clamp = z if demod is None else _scaled(z, demod), call.clamp
    at = laid_out_densely(at)
    return torch.ops.bunraku.bias_act_grad(  # type: ignore[no-any-return]
        laid_out_like(dy, at), at, bias, 0 if bias is None else 1,
        call.act, call.alpha, call.gain, clamp, call.impl,
    )  # fmt: skip


def _pre_activated(x: Tensor, call: _Call) -> Tensor:
    if call.pre == "linear":
        return x
    return torch.ops.bunraku.bias_act(  # type: ignore[no-any-return]
        laid_out_densely(x), None, 0, call.pre, call.pre_alpha, 1.0, NO_CLAMP, call.impl
    )


def _through_pre(dv: Tensor, x: Tensor, call: _Call) -> Tensor:
    if call.pre == "linear":
        return dv
    x = laid_out_densely(x)
    return torch.ops.bunraku.bias_act_grad(  # type: ignore[no-any-return]
        laid_out_like(dv, x), x, None, 0, call.pre, call.pre_alpha, 1.0, NO_CLAMP, call.impl
    )


def _scaled(value: Tensor, factor: Tensor) -> Tensor:
    """value [N, C, h, w] times factor [N, C], rounded once to the value's type."""
    return (value * factor[:, :, None, None]).to(value.dtype)


def _dot(a: Tensor, b: Tensor | None, like: Tensor) -> Tensor:
    """The sum over h and w of a * b [N, C, h, w], in the type of `like`."""
    assert b is not None
    return (a.to(like.dtype) * b.to(like.dtype)).sum((2, 3))


_forward.register_autograd(_backward, setup_context=_keep_forward)


# ---- the linear gradients -----------------------------------------------------------------------


@registered("upsample_conv_input_grad", layouts={"dy": any_layout, "weights": any_layout})
def _input_grad(
    dy: Tensor, weights: Tensor,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int], impl: str,
) -> Tensor:  # fmt: skip
    return gradients.input_grad(dy, weights, up, crop, size)


@_input_grad.register_fake
def _(
    dy: Tensor, weights: Tensor,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int], impl: str,
) -> Tensor:  # fmt: skip
    shape = (dy.shape[0], weights.shape[4], *size)
    return torch.empty(shape, dtype=dy.dtype, device=dy.device, memory_format=memory_format_of(dy))


@registered("upsample_conv_weight_grad", layouts={"dy": any_layout, "x": any_layout})
def _weight_grad(
    dy: Tensor, x: Tensor,
    up: Sequence[int], crop: Sequence[int], taps: Sequence[int], impl: str,
) -> Tensor:  # fmt: skip
    return gradients.weight_grad(dy, x, up, crop, taps)


@_weight_grad.register_fake
def _(
    dy: Tensor, x: Tensor,
    up: Sequence[int], crop: Sequence[int], taps: Sequence[int], impl: str,
) -> Tensor:  # fmt: skip
    return x.new_empty((up[0] * up[1], *taps, dy.shape[1], x.shape[1]))


def _keep_two(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, ctx.up, ctx.crop, _, ctx.impl = inputs
    ctx.save_for_backward(first, second)


def _conv(x: Tensor, weights: Tensor, dy: Tensor, ctx: Any) -> Tensor:
    call = _Call(
        ctx.up, ctx.crop, list(dy.shape[2:]),
        "linear", 0.0, "linear", 0.0, 1.0, NO_CLAMP, False, ctx.impl,
    )  # fmt: skip
    return call.linear(x, weights, None, pre=False)


def _input_grad_backward(ctx: Any, ddx: Tensor) -> tuple[Any, ...]:
    dy, weights = ctx.saved_tensors
    dweights = torch.ops.bunraku.upsample_conv_weight_grad(
        dy, ddx, ctx.up, ctx.crop, list(weights.shape[1:3]), ctx.impl
    )
    return _conv(ddx, weights, dy, ctx), dweights, None, None, None, None


def _weight_grad_backward(ctx: Any, dweights: Tensor) -> tuple[Any, ...]:
    dy, x = ctx.saved_tensors
    dx = torch.ops.bunraku.upsample_conv_input_grad(
        dy, dweights, ctx.up, ctx.crop, list(x.shape[2:]), ctx.impl
    )
    return _conv(x, dweights, dy, ctx), dx, None, None, None, None


_input_grad.register_autograd(_input_grad_backward, setup_context=_keep_two)
_weight_grad.register_autograd(_weight_grad_backward, setup_context=_keep_two)


# ---- instance normalisation ---------------------------------------------------------------------


@registered("upsample_conv_normalize", layouts={"u": laid_out_densely})
def _normalize(
    u: Tensor, stats: Tensor, act: str, alpha: float, gain: float, clamp: float, impl: str
) -> Tensor:
    run: Tensor = OPERATOR.run(impl, "normalize", u, stats, act, alpha, gain, clamp)
    return run


@_normalize.register_fake
def _(u: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(u)


def _keep_normalize(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, stats, *ctx.settings = inputs
    ctx.save_for_backward(u, stats)


def _normalize_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    """The statistics are taken from u again, because they depend on it; as differentiable torch."""
    u, stats = ctx.saved_tensors
    wide = u.to(stats.dtype)
    centred = wide - wide.mean((2, 3), keepdim=True)
    scale = torch.rsqrt(centred.square().mean((2, 3), keepdim=True) + NORM_EPS)
    v = centred * scale
    at = laid_out_like(v.to(u.dtype), u)
    dv = torch.ops.bunraku.bias_act_grad(laid_out_like(dy, u), at, None, 0, *ctx.settings)
    dv = dv.to(v.dtype)
    along = (dv * v).mean((2, 3), keepdim=True)
    du = scale * (dv - dv.mean((2, 3), keepdim=True) - v * along)
    return du.to(u.dtype), *(None for _ in range(6))


_normalize.register_autograd(_normalize_backward, setup_context=_keep_normalize)
