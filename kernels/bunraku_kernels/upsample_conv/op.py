"""`upsample_conv2d` for picture generators, `upsample_conv1d` for vocoders: upsampling, convolution
with bias and activation in one pass over the low-resolution input.

After StyleGAN2's modulated layers (Karras et al., 2020) and HiFi-GAN's upsamplers (Kong et al.,
2020); the polyphase form in which both are computed is told in `weights.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bunraku_kernels.activations import activation_named
from bunraku_kernels.bias_act.op import checked_activation
from bunraku_kernels.checks import flag, is_one_of, number, shown, tensor_given, whole_number
from bunraku_kernels.dtypes import FLOAT_TYPES, HALF_TYPES
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.upsample_conv.exact_product import exact_product
from bunraku_kernels.upsample_conv.phase_conv import OPERATOR, Epilogue, phase_conv
from bunraku_kernels.upsample_conv.weights import MODES, Pair, PhaseWeights, phase_weights

DEMODULATION_EPS = 1e-8
LEAKY_SLOPE = 0.1  # of HiFi-GAN's leaky ReLUs
MAX_UP = 65_536
MOST_FIR_TAPS = 256
MAX_PADDING = 1 << 30  # the kernels' integers have 32 bits


def upsample_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    up: int = 2,
    mode: str = "nearest",
    fir: Tensor | None = None,
    padding: int | Pair | None = None,
    output_padding: int | Pair = 0,
    style: Tensor | None = None,
    demodulate: bool = False,
    norm: str | None = None,
    activation: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "auto",
) -> Tensor:
    """clamp(gain * f(demod * conv(upsampled(style * x)) + bias), -clamp, clamp).

    x [N, I, H, W], any strides; weight [O, I, kh, kw], bias [O] or None, of x's type; `up` >= 1.
    Everything is defined on the infinite plane that x extends with zeros, and cropped at the end:
      nearest      F.interpolate(mode="nearest"), then F.conv2d with zero `padding` (None: k // 2)
      transposed   F.conv_transpose2d with weight.transpose(0, 1), `padding` (None: 0) and
                   `output_padding`
      fir          F.conv_transpose2d (zeros put between samples, convolved), then the low-pass
                   `fir` [taps] (on both axes) or [fh, fw] times up * up, centred so that with odd
                   kernels the output is up * (H, W); None: [1, 3, 3, 1] / 8. StyleGAN2's order
    up=1 is the plain convolution F.conv2d (say mode="nearest"). style [N, I], of x's type or
    float32 beside half types, scales the input's channels; `demodulate` divides by the norm of the
    scaled weight, demod[n, o] = 1 / sqrt(sum (weight[o, i] style[n, i])^2 + 1e-8).
    norm="instance" normalises conv + bias over each picture's channel (variance + 1e-5) before f,
    in a second pass.
    activation, alpha, gain, clamp: as bias_act.

    Returns [N, O, OH, OW] of x's type, channels-last where x is. Sums are in float32, and those of
    float32 never use TF32, nor do their gradients. Differentiable twice in x, weight, style and
    bias. Raises InvalidInputError, and ImplementationUnavailableError for an `impl` that does not
    work here.
    """
    OPERATOR.check(impl)
    _check_tensors(x, weight, bias, ("N", "I", "H", "W"), ("O", "I", "kh", "kw"), 1, 0)
    up = checked_up("up", up)
    _check_mode(mode, up, fir)
    wide = torch.float32 if x.dtype in HALF_TYPES else x.dtype
    if style is not None:
        _check_style(style, x, wide)
    if norm is not None and not is_one_of(norm, ("instance",)):
        raise InvalidInputError(f"norm={shown(norm)}: choose 'instance' or None")
    scales = None if style is None else style.to(wide)
    demodulated = flag("demodulate", demodulate)
    kernel = phase_weights(
        mode, weight, fir, up=(up, up),
        padding=None if padding is None else _pair("padding", padding, 0),
        output_padding=_pair("output_padding", output_padding, -MAX_PADDING),
    )  # fmt: skip
    return phase_conv(
        x, kernel, size=_output_size(x, weight, kernel, padding), style=scales,
        demod=_demodulation(weight, scales, x.shape[0], wide) if demodulated else None, bias=bias,
        epilogue=epilogue_of(activation, alpha, gain, clamp), normalize=norm == "instance",
        impl=impl,
    )  # fmt: skip


def upsample_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int,
    padding: int = 0,
    output_padding: int = 0,
    causal: bool = False,
    pre_activation: str = "linear",
    pre_alpha: float = LEAKY_SLOPE,
    activation: str = "linear",
    alpha: float | None = None,
    gain: float = 1.0,
    impl: str = "auto",
) -> Tensor:
    """gain * f(F.conv_transpose1d(pre(x), weight, bias, stride, padding, output_padding)).

    x [N, I, T], any strides; weight [I, O, k] (as torch.nn.ConvTranspose1d), bias [O] or None, of
    x's type. pre_activation is applied to x on its way in (HiFi-GAN: "lrelu", with pre_alpha 0.1).
    causal: keep the first stride * T samples of the full result and no others (padding must be 0),
    so that output stride * t + p depends on frames up to t; UpsampleConv1dStream computes the same
    block by block. Differentiable twice in x, weight and bias.

    Returns [N, O, stride * (T - 1) + k - 2 * padding + output_padding] of x's type, or
    [N, O, stride * T]. Raises as upsample_conv2d.
    """
    OPERATOR.check(impl)
    _check_tensors(x, weight, bias, ("N", "I", "T"), ("I", "O", "k"), 0, 1)
    stride = checked_up("stride", stride)
    kernel = phase_weights_1d(weight, stride, padding, output_padding, causal)
    row = x.unsqueeze(2)
    y = phase_conv(
        row, kernel, size=_output_size(row, weight, kernel, padding), bias=bias,
        pre=(activation_named(pre_activation).name, number("pre_alpha", pre_alpha)),
        epilogue=epilogue_of(activation, alpha, gain, None), impl=impl,
    )  # fmt: skip
    return y.squeeze(2)


def phase_weights_1d(
    weight: Tensor, stride: int, padding: int = 0, output_padding: int = 0, causal: bool = False
) -> PhaseWeights:
    """`phase_weights` of weight [I, O, k], as one row."""
    padding = _checked_padding("padding", padding, 0)
    output_padding = _checked_padding("output_padding", output_padding, -MAX_PADDING)
    if flag("causal", causal):
        if padding or output_padding:
            raise InvalidInputError(
                f"causal with padding={padding}, output_padding={output_padding}: "
                "it trims the right end itself, so leave both 0"
            )
        output_padding = stride - weight.shape[2]
    row = weight.transpose(0, 1).unsqueeze(2)
    return phase_weights(
        "transposed", row, up=(1, stride), padding=(0, padding), output_padding=(0, output_padding)
    )


def _demodulation(weight: Tensor, style: Tensor | None, batch: int, wide: torch.dtype) -> Tensor:
    """1 / the norm of each sample's scaled weight, [N, O]."""
    energy = weight.to(wide).square().sum((2, 3))
    if style is None:
        return torch.rsqrt(energy.sum(1) + DEMODULATION_EPS).expand(batch, -1)
    return torch.rsqrt(exact_product(style.square(), energy.t()) + DEMODULATION_EPS)


def epilogue_of(
    activation: str, alpha: float | None, gain: float | None, clamp: float | None
) -> Epilogue:
    return Epilogue(activation, *checked_activation(activation, alpha, gain, clamp))


# ---- what is refused ----------------------------------------------------------------------------


def _check_tensors(
    x: Tensor, weight: Tensor, bias: Tensor | None, x_axes: Sequence[str], w_axes: Sequence[str],
    w_in: int, w_out: int,
) -> None:  # fmt: skip
    """w_in, w_out: the weight's axes of input and output channels."""
    if tensor_given("x", x).dtype not in FLOAT_TYPES or x.ndim != len(x_axes):
        raise InvalidInputError(
            f"x is {x.dtype} {list(x.shape)}: [{', '.join(x_axes)}] of float16, bfloat16, float32 "
            "or float64 is wanted"
        )
    tensor_given("weight", weight)
    if bias is not None:
        tensor_given("bias", bias)
    if weight.ndim != len(w_axes) or weight.shape[w_in] != x.shape[1]:
        raise InvalidInputError(
            f"weight is {list(weight.shape)}: [{', '.join(w_axes)}] with I = {x.shape[1]}, as x has"
        )
    if 0 in weight.shape or 0 in x.shape[1:]:
        raise InvalidInputError(
            f"x is {list(x.shape)}, weight {list(weight.shape)}: only the batch may be empty"
        )
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and (other.dtype != x.dtype or other.device != x.device):
            raise InvalidInputError(
                f"{name} is {other.dtype} on {other.device}: "
                f"x is {x.dtype} on {x.device}; convert it"
            )
    if bias is not None and tuple(bias.shape) != (weight.shape[w_out],):
        raise InvalidInputError(f"bias is {list(bias.shape)}: weight wants [{weight.shape[w_out]}]")


def checked_up(name: str, up: int) -> int:
    """What is upsampled by."""
    return _bounded(name, whole_number(name, up, 1), MAX_UP)


def _checked_padding(name: str, padding: int, least: int) -> int:
    return _bounded(name, whole_number(name, padding, least), MAX_PADDING)


def _pair(name: str, value: int | Pair, least: int) -> Pair:
    """One number for both axes, or one for each."""
    if not isinstance(value, (tuple, list)):
        padding = _checked_padding(name, value, least)
        return padding, padding
    if len(value) != 2:
        raise InvalidInputError(
            f"{name}={shown(value)}: a whole number, or two of them (height, width)"
        )
    height, width = (_checked_padding(f"{name}[{i}]", v, least) for i, v in enumerate(value))
    return height, width


def _bounded(name: str, value: int, most: int) -> int:
    if value > most:
        raise InvalidInputError(f"{name}={value}: at most {most}")
    return value


def _check_style(style: Tensor, x: Tensor, wide: torch.dtype) -> None:
    wanted = (x.shape[0], x.shape[1])
    fits = tensor_given("style", style).dtype in (x.dtype, wide) and style.device == x.device
    if tuple(style.shape) != wanted or not fits:
        raise InvalidInputError(
            f"style is {list(style.shape)} of {style.dtype} on {style.device}: x wants [N, I] = "
            f"{list(wanted)} of {wide} on {x.device}"
        )


def _check_mode(mode: str, up: int, fir: Tensor | None) -> None:
    if not is_one_of(mode, MODES):
        raise InvalidInputError(f"mode={shown(mode)}: choose one of {', '.join(MODES)}")
    if mode == "fir" and up == 1:
        raise InvalidInputError("mode='fir' with up=1 interpolates nothing: say mode='nearest'")
    if fir is not None and (
        mode != "fir" or tensor_given("fir", fir).ndim not in (1, 2) or 0 in fir.shape
    ):
        raise InvalidInputError(
            f"fir {list(fir.shape)} with mode='{mode}': "
            "[taps] or [fh, fw] with mode='fir', else None"
        )
    if fir is not None and (not fir.is_floating_point() or max(fir.shape) > MOST_FIR_TAPS):
        raise InvalidInputError(
            f"fir is {fir.dtype} {list(fir.shape)}: a floating-point filter of at most "
            f"{MOST_FIR_TAPS} taps along an axis is wanted"
        )


def _output_size(
    x: Tensor, weight: Tensor, kernel: PhaseWeights, padding: int | Pair | None
) -> Pair:
    size = kernel.output_size(x.shape[2], x.shape[3])
    if size[0] < 1 or size[1] < 1:
        raise InvalidInputError(
            f"padding={padding} with a kernel of {list(weight.shape)} on x {list(x.shape)} leaves "
            f"{list(size)} of output: at least 1; choose less padding"
        )
    return size
