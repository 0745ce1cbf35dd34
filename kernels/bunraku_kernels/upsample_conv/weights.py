"""From upsampling and a kernel to the small kernels that each output phase needs.

Every upsampling followed by a convolution is y[r] = sum_n x[n] g[r - s n + c] on the infinite
plane: x spread by the stride s, convolved with one composite kernel g, cropped by c. Output
r = s i + p then reads ceil(len(g) / s) neighbours of i, and only the g[q] with q = p + c modulo s:
the polyphase form (Crochiere and Rabiner, "Multirate Digital Signal Processing", 1983). Nothing is
spent on zeros or on repeated samples, and nothing is stored in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bunraku_kernels.dtypes import HALF_TYPES
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.upsample_conv.exact_product import exact_product

MODES = ("nearest", "fir", "transposed")

Pair = tuple[int, int]


@dataclass(frozen=True)
class PhaseWeights:
    """`weights` [up_h * up_w, taps_h, taps_w, O, I]: for phase p and tap t of an axis,
    y[s i + p] takes weights[p, t] x[i + (p + crop) // s - (taps - 1) + t]. `crop`: samples of the
    full result before the first output, by axis, from 0. `short`: s * size - output size."""

    weights: Tensor
    up: Pair
    crop: Pair
    short: Pair

    def output_size(self, height: int, width: int) -> Pair:
        return self.up[0] * height - self.short[0], self.up[1] * width - self.short[1]


def phase_weights(
    mode: str,
    weight: Tensor,
    fir: Tensor | None = None,
    *,
    up: Pair = (2, 2),
    padding: Pair | None = None,
    output_padding: Pair = (0, 0),
) -> PhaseWeights:
    """The composite kernels of all phases, differentiable in `weight` [O, I, kh, kw].

    padding: zeros around the convolution's input for "nearest" and "fir" (None: k // 2), samples
    trimmed at each end for "transposed" (None: 0). output_padding: more samples at the end.
    See upsample_conv2d for the modes and for `fir`. The sums are taken in float32 for half types
    and rounded once.
    """
    kernel = (weight.shape[2], weight.shape[3])
    wide = weight.float() if weight.dtype in HALF_TYPES else weight
    spread = _interpolator(mode, wide, fir, up)
    default = (0, 0) if mode == "transposed" else (kernel[0] // 2, kernel[1] // 2)
    padding = default if padding is None else padding
    taps = (spread.shape[0], spread.shape[1])
    modes = (mode, mode)
    crop = tuple(map(_crop, modes, kernel, taps, up, padding))
    short = tuple(map(_short, modes, kernel, up, padding, output_padding))
    lead = (max(0, -crop[0]), max(0, -crop[1]))  # zeros before g, so that no crop is negative
    start = (crop[0] + lead[0], crop[1] + lead[1])
    # "transposed" and "fir" convolve; "nearest" correlates, as conv2d does.
    turned = wide if mode == "nearest" else wide.flip(2, 3)
    mixing = _phases_of_taps(spread, kernel, up, start, lead)
    flat = exact_product(
        mixing.flatten(4).flatten(0, 3), turned.reshape(-1, kernel[0] * kernel[1]).t()
    )
    shape = (up[0] * up[1], mixing.shape[2], mixing.shape[3], weight.shape[0], weight.shape[1])
    weights = flat.to(weight.dtype).reshape(shape)
    return PhaseWeights(weights, up, start, (short[0], short[1]))


def unphased(weights: Tensor, up: Pair, crop: Pair) -> Tensor:
    """The composite kernel g [O, I, up_h * taps_h, up_w * taps_w] behind phase weights, zeros at
    its end where the strides do not divide its length."""
    _, taps_h, taps_w, out_channels, in_channels = weights.shape
    split = weights.reshape(up[0], up[1], taps_h, taps_w, out_channels, in_channels)
    ordered = split.roll(crop, (0, 1)).flip(2, 3).permute(4, 5, 2, 0, 3, 1)
    return ordered.reshape(out_channels, in_channels, taps_h * up[0], taps_w * up[1])


def phased(composite: Tensor, up: Pair, crop: Pair) -> Tensor:
    """The inverse of `unphased`."""
    out_channels, in_channels, height, width = composite.shape
    taps = (height // up[0], width // up[1])
    split = composite.reshape(out_channels, in_channels, taps[0], up[0], taps[1], up[1])
    ordered = split.permute(3, 5, 2, 4, 0, 1).flip(2, 3).roll((-crop[0], -crop[1]), (0, 1))
    return ordered.reshape(up[0] * up[1], *taps, out_channels, in_channels)


def _interpolator(mode: str, like: Tensor, fir: Tensor | None, up: Pair) -> Tensor:
    """What the spread samples are filtered with before or after the kernel, [fh, fw]."""
    if mode == "transposed":
        return like.new_ones(1, 1)
    if mode == "nearest":
        return like.new_ones(up)
    if mode != "fir":
        raise InvalidInputError(f"mode='{mode}': choose one of {', '.join(MODES)}")
    taps = _binomial(like) if fir is None else fir.to(like)
    return (torch.outer(taps, taps) if taps.ndim == 1 else taps) * (up[0] * up[1])


def _binomial(like: Tensor) -> Tensor:
    """[1, 3, 3, 1] / 8, the usual FIR of picture generators. Filled where it is used: a copy from
    the host is not allowed while a CUDA graph is captured."""
    return F.pad(like.new_full((2,), 0.375), (1, 1), value=0.125)


def _phases_of_taps(spread: Tensor, kernel: Pair, up: Pair, crop: Pair, lead: Pair) -> Tensor:
    """How much of kernel tap (a, b), read backwards, is in tap t of phase p:
    [up_h, up_w, taps_h, taps_w, kh, kw]."""
    kh, kw = kernel
    padded = F.pad(spread, (kw - 1, kw - 1, kh - 1, kh - 1))
    windows = padded.unfold(0, kh, 1).unfold(1, kw, 1)
    length = (windows.shape[0] + lead[0], windows.shape[1] + lead[1])
    taps = (-(-length[0] // up[0]), -(-length[1] // up[1]))
    rest = (taps[0] * up[0] - length[0], taps[1] * up[1] - length[1])
    whole = F.pad(windows, (0, 0, 0, 0, lead[1], rest[1], lead[0], rest[0]))
    split = whole.reshape(taps[0], up[0], taps[1], up[1], kh, kw).permute(1, 3, 0, 2, 4, 5)
    return split.flip(2, 3).roll((-crop[0], -crop[1]), (0, 1))


def _crop(mode: str, kernel: int, fir_taps: int, up: int, padding: int) -> int:
    if mode == "transposed":
        return padding
    centre = kernel - 1 - padding
    # The FIR is centred so that s * size samples remain: (taps + s - 1) // 2 zeros before it.
    return centre if mode == "nearest" else centre + fir_taps - 1 - (fir_taps + up - 1) // 2


def _short(mode: str, kernel: int, up: int, padding: int, output_padding: int) -> int:
    if mode == "transposed":
        return up - kernel + 2 * padding - output_padding
    return kernel - 1 - 2 * padding - output_padding
