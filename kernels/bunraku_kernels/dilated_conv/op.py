"""`dilated_conv`: one layer of a WaveNet (van den Oord et al., 2016) over a whole signal, with
gradients.

z is never stored: the backward pass computes it again from x and the condition, which it has to
read less of than it would of z. Weight gradients are matrix products over time, left to the
vendor's library (`weight_gradients.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.activations import activation_named
from bunraku_kernels.checks import is_one_of, number, tensor_given, whole_number
from bunraku_kernels.dilated_conv.weight_gradients import product_over_time
from bunraku_kernels.dtypes import FLOAT_TYPES, refuses_float64
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator

GATED = "gated"
MOST_HIDDEN_CHANNELS = 256
MOST_FRAMES = 1 << 30


def hidden_channels(weight: Tensor, act: str) -> int:
    """H: how many channels the activation gives."""
    return weight.shape[0] // 2 if act == GATED else weight.shape[0]


def _refuses(weight: Tensor, act: str, *rest: Any) -> str | None:
    hidden = hidden_channels(weight, act)
    if hidden > MOST_HIDDEN_CHANNELS:
        return (
            f"{hidden} hidden channels do not fit on chip; it takes at most {MOST_HIDDEN_CHANNELS}"
        )
    return refuses_float64(weight, *rest)


OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", _refuses),
        Implementation("triton", "triton_kernel", _refuses),
        Implementation("reference", "reference"),
    ),
)


def dilated_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    condition: Tensor | None = None,
    mixin: Tensor | None = None,
    history: Tensor | None = None,
    activation: str = GATED,
    alpha: float | None = None,
    residual_weight: Tensor | None = None,
    residual_bias: Tensor | None = None,
    skip_weight: Tensor | None = None,
    skip_bias: Tensor | None = None,
    impl: str = "auto",
) -> tuple[Tensor, Tensor]:
    """z[t] = bias + sum_k weight[:, :, k] x[t - (K-1-k) dilation] + mixin condition[t];
    h = activation(z); x_out = x + residual_weight h + residual_bias;
    skip = skip_weight h + skip_bias.

    x: [B, R, T], float16, bfloat16, float32, or float64 (reference only). weight: [Z, R, K], its
    last tap is the present. bias: [Z]. condition: [B, C, T] with mixin: [Z, C]; both or neither.
    history: [B, R, (K-1) dilation], what came before x; None is silence. A signal cut into blocks,
    each with the end of those before it as history, gives what the whole signal gives.
    activation: "gated", h = tanh(z[:H]) sigmoid(z[H:]) with Z = 2H, or a name of
    `bunraku_kernels.activations` with Z = H; alpha is its parameter, None takes its own.
    residual_weight: [R, H], residual_bias: [R]. skip_weight: [S, H], skip_bias: [S].
    All of x's type, on its device. Differentiable once, in every tensor.

    Returns (x_out [B, R, T], skip [B, S, T]). Without residual_weight x_out is x itself, not a
    copy; without skip_weight skip is h [B, H, T]. Kernels compute in float32 whatever the type,
    and round h (and in the backward pass dz) to x's type between their products; "cuda" and
    "triton" take H up to 256.

    Raises InvalidInputError, and ImplementationUnavailableError for an `impl` that does not work
    here.
    """
    OPERATOR.check(impl)
    slope = _checked_settings(x, weight, dilation, activation, alpha)
    given = {
        "bias": bias, "condition": condition, "mixin": mixin, "history": history,
        "residual_weight": residual_weight, "residual_bias": residual_bias,
        "skip_weight": skip_weight, "skip_bias": skip_bias,
    }  # fmt: skip
    for name, tensor in given.items():
        if tensor is not None:
            tensor_given(name, tensor)
    _check_partners(given)
    _check_shapes(x, weight, hidden_channels(weight, activation), dilation, given)
    dense = [None if t is None else t.contiguous() for t in given.values()]
    x_out, skip = torch.ops.bunraku.dilated_conv(
        weight.contiguous(), activation, x.contiguous(), *dense, dilation, slope, impl
    )
    return (x if residual_weight is None else x_out), skip


def _checked_settings(
    x: Tensor, weight: Tensor, dilation: int, activation: str, alpha: float | None
) -> float:
    """alpha, with its default; raises for what the shapes of other tensors do not decide."""
    default = 0.0 if is_one_of(activation, (GATED,)) else _alpha_of(activation)
    if tensor_given("x", x).dtype not in FLOAT_TYPES or x.ndim != 3:
        raise InvalidInputError(
            f"x is {x.dtype} {list(x.shape)}: "
            "dilated_conv takes floating-point [batch, channels, time], of 16, 32 or 64 bits"
        )
    if tensor_given("weight", weight).ndim != 3 or min(weight.shape) < 1:
        raise InvalidInputError(f"weight is {list(weight.shape)}: it is [Z, R, K], each at least 1")
    if activation == GATED and weight.shape[0] % 2:
        raise InvalidInputError(
            f"weight has {weight.shape[0]} output channels: 'gated' takes an even number, 2 H"
        )
    span = (weight.shape[2] - 1) * whole_number("dilation", dilation)
    if not 1 <= dilation <= MOST_FRAMES or span > MOST_FRAMES or x.shape[2] > MOST_FRAMES:
        raise InvalidInputError(
            f"dilation={dilation} with {weight.shape[2]} taps and {x.shape[2]} frames: dilation is "
            f"at least 1, and it, (taps - 1) * dilation and the frames are at most {MOST_FRAMES}"
        )
    return default if alpha is None else number("alpha", alpha)


def _alpha_of(activation: str) -> float:
    try:
        return activation_named(activation).alpha
    except InvalidInputError as error:
        raise InvalidInputError(f"{error}, or '{GATED}'") from None


def _check_partners(given: dict[str, Tensor | None]) -> None:
    for one, other in (
        ("condition", "mixin"), ("mixin", "condition"),
        ("residual_bias", "residual_weight"), ("skip_bias", "skip_weight"),
    ):  # fmt: skip
        if given[one] is not None and given[other] is None:
            raise InvalidInputError(f"{one} was given without {other}: give both, or neither")


def _check_shapes(
    x: Tensor, weight: Tensor, hidden: int, dilation: int, given: dict[str, Tensor | None]
) -> None:
    batch, channels, frames = x.shape
    outputs, _, taps = weight.shape
    mixin, skip_weight = given["mixin"], given["skip_weight"]
    features = mixin.shape[-1] if mixin is not None and mixin.ndim == 2 else -1
    skips = skip_weight.shape[0] if skip_weight is not None and skip_weight.ndim == 2 else -1
    wanted = {
        "weight": (outputs, channels, taps),
        "bias": (outputs,),
        "condition": (batch, features, frames),
        "mixin": (outputs, features),
        "history": (batch, channels, (taps - 1) * dilation),
        "residual_weight": (channels, hidden),
        "residual_bias": (channels,),
        "skip_weight": (skips, hidden),
        "skip_bias": (skips,),
    }
    for name, tensor in {"weight": weight, **given}.items():
        if tensor is None:
            continue
        if name in ("skip_weight", "skip_bias") and tensor.numel() == 0:
            raise InvalidInputError(f"{name} is {list(tensor.shape)}: a skip has channels")
        if tuple(tensor.shape) != wanted[name]:
            shape = ", ".join("any" if size < 0 else str(size) for size in wanted[name])
            raise InvalidInputError(
                f"{name} is {list(tensor.shape)}: with x {list(x.shape)}, weight "
                f"{list(weight.shape)} and dilation {dilation} it is [{shape}]"
            )
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise InvalidInputError(
                f"{name} is {tensor.dtype} on {tensor.device}: x wants {x.dtype} on {x.device}"
            )


# ---- registration: forward, the gradient of z, the gradients of what went in ---------------------


@registered("dilated_conv")
def _forward(
    weight: Tensor, act: str, x: Tensor, bias: Tensor | None, condition: Tensor | None,
    mixin: Tensor | None, history: Tensor | None, residual_weight: Tensor | None,
    residual_bias: Tensor | None, skip_weight: Tensor | None, skip_bias: Tensor | None,
    dilation: int, alpha: float, impl: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    run: tuple[Tensor, Tensor] = OPERATOR.run(
        impl, "forward", weight, act, x, bias, condition, mixin, history,
        residual_weight, residual_bias, skip_weight, skip_bias, dilation, alpha,
    )  # fmt: skip
    return run


@registered("dilated_conv_grad_preactivation")
def _grad_preactivation(
    weight: Tensor, act: str, dx_out: Tensor | None, dskip: Tensor | None, x: Tensor,
    bias: Tensor | None, condition: Tensor | None, mixin: Tensor | None, history: Tensor | None,
    residual_weight: Tensor | None, skip_weight: Tensor | None,
    dilation: int, alpha: float, wants_h: bool, impl: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    run: tuple[Tensor, Tensor] = OPERATOR.run(
        impl, "grad_preactivation", weight, act, dx_out, dskip, x, bias, condition, mixin, history,
        residual_weight, skip_weight, dilation, alpha, wants_h,
    )  # fmt: skip
    return run


@registered("dilated_conv_grad_input")
def _grad_input(
    weight: Tensor, act: str, dz: Tensor, dx_out: Tensor | None, mixin: Tensor | None,
    dilation: int, wants_x: bool, wants_history: bool, wants_condition: bool, impl: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    run: tuple[Tensor, Tensor, Tensor] = OPERATOR.run(
        impl, "grad_input", weight, act, dz, dx_out, mixin,
        dilation, wants_x, wants_history, wants_condition,
    )  # fmt: skip
    return run


@registered("dilated_conv_grad_weight")
def _grad_weight(a: Tensor, b: Tensor, before: Tensor | None, delay: int) -> Tensor:
    return product_over_time(a, b, before, delay)


@_forward.register_fake
def _(
    weight: Tensor, act: str, x: Tensor, bias: Tensor | None, condition: Tensor | None,
    mixin: Tensor | None, history: Tensor | None, residual_weight: Tensor | None,
    residual_bias: Tensor | None, skip_weight: Tensor | None, *_: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    rows = hidden_channels(weight, act) if skip_weight is None else skip_weight.shape[0]
    x_out = x.new_empty(0 if residual_weight is None else x.shape)
    return x_out, x.new_empty(x.shape[0], rows, x.shape[2])


@_grad_preactivation.register_fake
def _(
    weight: Tensor, act: str, dx_out: Tensor | None, dskip: Tensor | None, x: Tensor, *rest: Any
) -> tuple[Tensor, Tensor]:
    batch, _, frames = x.shape
    wants_h = rest[-2]
    h_shape = (batch, hidden_channels(weight, act), frames) if wants_h else (0,)
    return x.new_empty(batch, weight.shape[0], frames), x.new_empty(h_shape)


@_grad_input.register_fake
def _(
    weight: Tensor, act: str, dz: Tensor, dx_out: Tensor | None, mixin: Tensor | None,
    dilation: int, wants_x: bool, wants_history: bool, wants_condition: bool, *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return empty_input_gradients(
        weight, dz, mixin, dilation, wants_x, wants_history, wants_condition
    )


@_grad_weight.register_fake
def _(a: Tensor, b: Tensor, before: Tensor | None, delay: int) -> Tensor:
    return a.new_empty(a.shape[1], b.shape[1])


def empty_input_gradients(
    weight: Tensor, dz: Tensor, mixin: Tensor | None,
    dilation: int, wants_x: bool, wants_history: bool, wants_condition: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """dx, dhistory and dcondition, not yet filled; of no elements where they are not wanted."""
    batch, _, frames = dz.shape
    _, channels, taps = weight.shape
    dx = dz.new_empty((batch, channels, frames) if wants_x else (0,))
    span = (taps - 1) * dilation
    dhistory = dz.new_empty((batch, channels, span) if wants_history else (0,))
    if mixin is None or not wants_condition:
        return dx, dhistory, dz.new_empty(0)
    return dx, dhistory, dz.new_empty(batch, mixin.shape[1], frames)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    weight, ctx.act, *tensors, ctx.dilation, ctx.alpha, ctx.impl = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(weight, *tensors)


class _LastDerivative(torch.autograd.Function):
    """Passes a gradient on, as one that depends on `sources` in a way that nobody has written."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *sources: Tensor | None) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise InvalidInputError(
            "dilated_conv is differentiable once: a second derivative was asked of it; "
            "leave out create_graph=True, or detach its gradients"
        )


def _last_derivative(gradient: Tensor, *sources: Tensor | None) -> Tensor:
    return _LastDerivative.apply(gradient, *sources)  # type: ignore[no-any-return,no-untyped-call]


def _backward(ctx: Any, dx_out: Tensor | None, dskip: Tensor | None) -> tuple[Any, ...]:
    if not torch.is_grad_enabled():
        return _gradients(ctx, dx_out, dskip)
    with torch.no_grad():
        gradients = _gradients(ctx, dx_out, dskip)
    sources = (dx_out, dskip, *ctx.saved_tensors)
    return tuple(None if g is None else _last_derivative(g, *sources) for g in gradients)


def _gradients(ctx: Any, dx_out: Tensor | None, dskip: Tensor | None) -> tuple[Any, ...]:
    weight, x, bias, condition, mixin, history, residual, _, skip, _ = ctx.saved_tensors
    (
        of_weight, _, of_x, of_bias, of_condition, of_mixin, of_history,
        of_residual, of_residual_bias, of_skip, of_skip_bias, *_,
    ) = ctx.needs_input_grad  # fmt: skip
    # Without residual weights the caller's x goes past the operator, and x_out is of no elements.
    dx_out = dx_out.contiguous() if dx_out is not None and residual is not None else None
    dskip = None if dskip is None else dskip.contiguous()
    if dx_out is None and dskip is None:
        return (None,) * len(ctx.needs_input_grad[:14])
    ops = torch.ops.bunraku
    dz, h = ops.dilated_conv_grad_preactivation(
        weight, ctx.act, dx_out, dskip, x, bias, condition, mixin, history, residual, skip,
        ctx.dilation, ctx.alpha, of_residual or of_skip, ctx.impl,
    )  # fmt: skip
    dx, dhistory, dcondition = None, None, None
    if of_x or of_history or of_condition:
        dx, dhistory, dcondition = ops.dilated_conv_grad_input(
            weight,
            ctx.act,
            dz,
            dx_out,
            mixin,
            ctx.dilation,
            of_x,
            of_history,
            of_condition,
            ctx.impl,
        )
    return (
        _weight_grad(dz, x, history, weight, ctx.dilation) if of_weight else None,
        None,
        dx if of_x else None,
        dz.sum((0, 2)) if of_bias else None,
        dcondition if of_condition else None,
        ops.dilated_conv_grad_weight(dz, condition, None, 0) if of_mixin else None,
        dhistory if of_history else None,
        _mixed_grad(dx_out, h) if of_residual else None,
        dx_out.sum((0, 2)) if of_residual_bias and dx_out is not None else None,
        _mixed_grad(dskip, h) if of_skip else None,
        dskip.sum((0, 2)) if of_skip_bias and dskip is not None else None,
        None,
        None,
        None,
    )


def _weight_grad(
    dz: Tensor, x: Tensor, history: Tensor | None, weight: Tensor, dilation: int
) -> Tensor:
    taps = weight.shape[2]
    of_taps = [
        torch.ops.bunraku.dilated_conv_grad_weight(dz, x, history, (taps - 1 - k) * dilation)
        for k in range(taps)
    ]
    return torch.stack(of_taps, 2)


def _mixed_grad(dy: Tensor | None, h: Tensor) -> Tensor | None:
    """The gradient of w in y = w h."""
    return None if dy is None else torch.ops.bunraku.dilated_conv_grad_weight(dy, h, None, 0)


_forward.register_autograd(_backward, setup_context=_keep)
