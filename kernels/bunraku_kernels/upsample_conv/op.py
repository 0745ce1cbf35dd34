"""`upsample_conv2d` for picture generators, `upsample_conv1d` for vocoders: upsampling, convolution
with bias and activation in one pass over the low-resolution input.

After StyleGAN2's modulated layers (Karras et al., 2020) and HiFi-GAN's upsamplers (Kong et al.,
2020); the polyphase form in which both are computed is told in `weights.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bunraku_kernels.activations import activation_named
from bunraku_kernels.dtypes import HALF_TYPES
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.upsample_conv.exact_product import exact_product
from bunraku_kernels.upsample_conv.phase_conv import NO_CLAMP, OPERATOR, Epilogue, phase_conv
from bunraku_kernels.upsample_conv.weights import MODES, Pair, PhaseWeights, phase_weights

DEMODULATION_EPS = 1e-8
LEAKY_SLOPE = 0.1  # of HiFi-GAN's leaky ReLUs


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
    up=1 is the plain convolution F.conv2d (say mode="nearest"). style [N, I] scales the input's
    channels; `demodulate` divides by the norm of the scaled weight,
    demod[n, o] = 1 / sqrt(sum (weight[o, i] style[n, i])^2 + 1e-8). norm="instance" normalises
    conv + bias over each picture's channel (variance + 1e-5) before f, in a second pass.
    activation, alpha, gain, clamp: as bias_act.

    Returns [N, O, OH, OW] of x's type, channels-last where x is. Sums are in float32, and those of
    float32 never use TF32, nor do their gradients. Differentiable twice in x, weight, style and
    bias. Raises InvalidInputError, and ImplementationUnavailableError for an `impl` that does not
    work here.
    """
    OPERATOR.check(impl)
    _check_tensors(x, weight, bias, ("N", "I", "H", "W"), ("O", "I", "kh", "kw"), 1, 0)
    _check_mode(mode, up, fir)
    wide = torch.float32 if x.dtype in HALF_TYPES else x.dtype
    if style is not None and tuple(style.shape) != (x.shape[0], x.shape[1]):
        raise InvalidInputError(
            f"style is {list(style.shape)}: x wants [N, I] = {[x.shape[0], x.shape[1]]}"
        )
    if norm not in (None, "instance"):
        raise InvalidInputError(f"norm='{norm}': choose 'instance' or None")
    scales = None if style is None else style.to(wide)
    kernel = phase_weights(
        mode, weight, fir, up=(up, up), padding=None if padding is None else _pair(padding),
        output_padding=_pair(output_padding),
    )  # fmt: skip
    return phase_conv(
        x, kernel, size=_output_size(x, weight, kernel, padding), style=scales,
        demod=_demodulation(weight, scales, x.shape[0], wide) if demodulate else None, bias=bias,
        epilogue=_epilogue(activation, alpha, gain, clamp), normalize=norm == "instance", impl=impl,
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
    _check_mode("transposed", stride, None)
    kernel = phase_weights_1d(weight, stride, padding, output_padding, causal)
    row = x.unsqueeze(2)
    y = phase_conv(
        row, kernel, size=_output_size(row, weight, kernel, padding), bias=bias,
        pre=(activation_named(pre_activation).name, pre_alpha),
        epilogue=_epilogue(activation, alpha, gain, None), impl=impl,
    )  # fmt: skip
    return y.squeeze(2)


def phase_weights_1d(
    weight: Tensor, stride: int, padding: int = 0, output_padding: int = 0, causal: bool = False
) -> PhaseWeights:
    """`phase_weights` of weight [I, O, k], as one row."""
    if causal:
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


def _epilogue(
    activation: str, alpha: float | None, gain: float | None, clamp: float | None
) -> Epilogue:
    act = activation_named(activation)
    if clamp is not None and not (clamp > 0 and math.isfinite(clamp)):
        raise InvalidInputError(f"clamp={clamp}: a finite number above 0, or None for no clamp")
    return Epilogue(
        activation,
        act.alpha if alpha is None else alpha,
        act.gain if gain is None else gain,
        NO_CLAMP if clamp is None else clamp,
    )


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


# ---- what is refused ----------------------------------------------------------------------------


def _check_tensors(
    x: Tensor, weight: Tensor, bias: Tensor | None, x_axes: Sequence[str], w_axes: Sequence[str],
    w_in: int, w_out: int,
) -> None:  # fmt: skip
    """w_in, w_out: the weight's axes of input and output channels."""
    if not x.is_floating_point() or x.ndim != len(x_axes):
        raise InvalidInputError(
            f"x is {x.dtype} {list(x.shape)}: a floating-point tensor [{', '.join(x_axes)}]"
        )
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


def _check_mode(mode: str, up: int, fir: Tensor | None) -> None:
    if mode not in MODES:
        raise InvalidInputError(f"mode='{mode}': choose one of {', '.join(MODES)}")
    if up < 1:
        raise InvalidInputError(f"upsampling by {up}: a whole number from 1")
    if mode == "fir" and up == 1:
        raise InvalidInputError("mode='fir' with up=1 interpolates nothing: say mode='nearest'")
    if fir is not None and (mode != "fir" or fir.ndim not in (1, 2) or 0 in fir.shape):
        raise InvalidInputError(
            f"fir {list(fir.shape)} with mode='{mode}': "
            "[taps] or [fh, fw] with mode='fir', else None"
        )


def _output_size(
    x: Tensor, weight: Tensor, kernel: PhaseWeights, padding: int | Pair | None
) -> Pair:
    size = kernel.output_size(x.shape[2], x.shape[3])
    if size[0] < 1 or size[1] < 1 or (padding is not None and min(_pair(padding)) < 0):
        raise InvalidInputError(
            f"padding={padding} with a kernel of {list(weight.shape)} on x {list(x.shape)} leaves "
            f"{list(size)} of output: at least 1, and padding from 0"
        )
    return size
