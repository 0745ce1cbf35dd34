"""The shapes an effect may be trained in: those that players of `.nam` files know as A1 and A2."""

from __future__ import annotations

from bunraku.errors import UserInputError
from bunraku.formats.specs import (
    ActivationKind,
    ActivationSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
)

LONG = tuple(2**i for i in range(10))
SHORT = LONG[:7]
REST = (*LONG[7:], *LONG)
TANH = ActivationSpec(ActivationKind.Tanh)

A1_SHAPES: dict[str, tuple[tuple[int, tuple[int, ...]], tuple[int, tuple[int, ...]]]] = {
    "standard": ((16, LONG), (8, LONG)),
    "lite": ((12, SHORT), (6, REST)),
    "feather": ((8, SHORT), (4, REST)),
    "nano": ((4, SHORT), (2, REST)),
}
"""Channels and dilations of the two arrays; kernel 3, tanh."""

A2_KERNELS = (*[6] * 14, 15, 15, *[6] * 7)
A2_DILATIONS = (
    1,
    3,
    7,
    17,
    41,
    101,
    239,
    1,
    3,
    7,
    17,
    41,
    101,
    239,
    1,
    13,
    1,
    3,
    7,
    17,
    41,
    101,
    239,
)
"""As in the A2 example files of NeuralAmpModelerCore: 23 layers, LeakyReLU, head kernel 16."""
A2_SLOPE = 0.01
A2_HEAD_KERNEL = 16

ARCHITECTURES = (*A1_SHAPES, "a2")


def wavenet_arrays(architecture: str) -> tuple[WaveNetArraySpec, ...]:
    """The arrays of a named shape. Raises UserInputError for an unknown name."""
    if architecture == "a2":
        return (a2_array(8),)
    if architecture not in A1_SHAPES:
        raise UserInputError(f"architecture '{architecture}' is none of {', '.join(ARCHITECTURES)}")
    (first, first_dilations), (second, second_dilations) = A1_SHAPES[architecture]
    return (
        a1_array(1, first, second, first_dilations, head_bias=False),
        a1_array(first, second, 1, second_dilations, head_bias=True),
    )


def a1_array(
    input_size: int, channels: int, head: int, dilations: tuple[int, ...], head_bias: bool
) -> WaveNetArraySpec:
    return WaveNetArraySpec(
        input_size=input_size,
        condition_size=1,
        channels=channels,
        bottleneck=channels,
        head_out_channels=head,
        layers=tuple(WaveNetLayerSpec(3, d, activation=TANH) for d in dilations),
        head_bias=head_bias,
    )


def a2_array(channels: int) -> WaveNetArraySpec:
    leaky = ActivationSpec(ActivationKind.LeakyReLU, (A2_SLOPE,))
    return WaveNetArraySpec(
        input_size=1,
        condition_size=1,
        channels=channels,
        bottleneck=channels,
        head_out_channels=1,
        head_kernel_size=A2_HEAD_KERNEL,
        head_bias=True,
        layers=tuple(
            WaveNetLayerSpec(k, d, activation=leaky)
            for k, d in zip(A2_KERNELS, A2_DILATIONS, strict=True)
        ),
    )


def receptive_field_frames(arrays: tuple[WaveNetArraySpec, ...]) -> int:
    """How many frames of input one frame of output depends on."""
    reach = 1
    for array in arrays:
        reach += sum((layer.kernel_size - 1) * layer.dilation for layer in array.layers)
        reach += (array.head_kernel_size - 1) * array.head_dilation
    return reach


def flop_per_frame(arrays: tuple[WaveNetArraySpec, ...]) -> int:
    """Floating-point operations of one output frame, a multiply-add counting as two; activations,
    biases and residual sums not counted."""
    macs = 0
    for array in arrays:
        macs += array.input_size * array.channels
        for layer in array.layers:
            macs += layer.kernel_size * array.channels * array.bottleneck
            macs += array.condition_size * array.bottleneck + array.bottleneck * array.channels
        macs += array.head_kernel_size * array.accumulator_channels * array.head_out_channels
    return 2 * macs
