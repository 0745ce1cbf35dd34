"""Layers of a picture generator and of HiFi-GAN's vocoder: upsampling, convolution, bias and
activation. `flop` is the polyphase form's; `direct_flop` says what the usual order costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from bunraku_kernels.registry import operators
from bunraku_kernels.upsample_conv import upsample_conv1d, upsample_conv2d
from case import Case, Run, compiled
from torch import Tensor

BATCH = 8
ASKED = {"over eager": 2.0, "over torch.compile": 1.3}


@dataclass(frozen=True)
class Layer:
    """Nearest x2, 3 x 3 kernel, leaky ReLU, on `size` x `size` pixels; float16, channels-last."""

    inputs: int
    outputs: int
    size: int

    @property
    def polyphase_flop(self) -> int:
        """Four 2 x 2 kernels on the small picture."""
        return 2 * BATCH * self.size**2 * 16 * self.inputs * self.outputs

    @property
    def direct_flop(self) -> int:
        """A 3 x 3 kernel on the large picture: 9/4 of it."""
        return 2 * BATCH * (2 * self.size) ** 2 * 9 * self.inputs * self.outputs

    @property
    def bytes_moved(self) -> int:
        pixels = BATCH * self.size**2
        return 2 * (pixels * (self.inputs + 4 * self.outputs) + 9 * self.inputs * self.outputs)


@dataclass(frozen=True)
class Upsampler:
    """HiFi-GAN's: leaky ReLU, transposed convolution with k = 2 s; float32."""

    inputs: int
    outputs: int
    stride: int
    frames: int

    @property
    def polyphase_flop(self) -> int:
        """Two taps for each output sample; a transposed convolution needs no more."""
        return 2 * BATCH * self.frames * self.stride * 2 * self.inputs * self.outputs

    @property
    def direct_flop(self) -> int:
        """A convolution over the input with zeros put in between: k taps for each sample."""
        return self.polyphase_flop * self.stride

    @property
    def bytes_moved(self) -> int:
        samples = self.frames * (self.inputs + self.stride * self.outputs)
        return 4 * (BATCH * samples + 2 * self.stride * self.inputs * self.outputs)


def cases() -> list[Case]:
    pictures = (Layer(512, 512, 32), Layer(128, 64, 128))
    sounds = (Upsampler(512, 256, 8, 128), Upsampler(128, 64, 2, 8192))
    return [*map(_picture, pictures), *map(_sound, sounds)]


def _picture(layer: Layer) -> Case:
    def make(device: torch.device) -> Mapping[str, Run]:
        kept = {"device": device, "dtype": torch.float16}
        x = torch.randn(BATCH, layer.inputs, layer.size, layer.size, **kept)
        w = torch.randn(layer.outputs, layer.inputs, 3, 3, **kept) / (9 * layer.inputs) ** 0.5
        b = torch.randn(layer.outputs, **kept)
        x = x.contiguous(memory_format=torch.channels_last)
        last = w.contiguous(memory_format=torch.channels_last)
        large = F.interpolate(x, scale_factor=2, mode="nearest")
        runs = _runs(lambda impl: upsample_conv2d(x, w, b, activation="lrelu", impl=impl))
        runs |= _peers(_eager_picture, x, last, b)
        runs["cudnn"] = lambda: F.conv2d(large, last, b, padding=1)  # the convolution alone
        return runs

    name = f"nearest x2, 3x3, {layer.inputs} to {layer.outputs} at {layer.size}, float16"
    return Case(name, make, layer.bytes_moved, layer.polyphase_flop, "half", ASKED)


def _sound(layer: Upsampler) -> Case:
    s, k = layer.stride, 2 * layer.stride

    def make(device: torch.device) -> Mapping[str, Run]:
        x = torch.randn(BATCH, layer.inputs, layer.frames, device=device)
        w = torch.randn(layer.inputs, layer.outputs, k, device=device) / (2 * layer.inputs) ** 0.5
        b = torch.randn(layer.outputs, device=device)
        runs = _runs(
            lambda impl: upsample_conv1d(
                x, w, b, stride=s, padding=s // 2, pre_activation="lrelu", impl=impl
            )
        )
        runs |= _peers(_eager_sound, x, w, b, s)
        runs["cudnn"] = lambda: F.conv_transpose1d(x, w, b, s, s // 2)  # without the activation
        return runs

    name = f"vocoder k{k} s{s}, {layer.inputs} to {layer.outputs}, {layer.frames} frames, float32"
    return Case(name, make, layer.bytes_moved, layer.polyphase_flop, "fp32", ASKED)


def _runs(ours: Callable[[str], Tensor]) -> dict[str, Run]:
    here = operators()["upsample_conv"].availability().here

    def run(impl: str) -> Run:
        return lambda: ours(impl)

    return {impl: run(impl) for impl in here if impl != "reference"}


def _peers(eager: Callable[..., Tensor], *arguments: object) -> dict[str, Run]:
    one_graph = compiled(eager)
    return {"eager": lambda: eager(*arguments), "torch.compile": lambda: one_graph(*arguments)}


def _eager_picture(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    large = F.interpolate(x, scale_factor=2, mode="nearest")
    return 2**0.5 * F.leaky_relu(F.conv2d(large, w, b, padding=1), 0.2)


def _eager_sound(x: Tensor, w: Tensor, b: Tensor, stride: int) -> Tensor:
    return F.conv_transpose1d(F.leaky_relu(x, 0.1), w, b, stride, stride // 2)
