"""The shape of a WaveNet of the `.nam` format's plain kind: what its flat list of weights means.

Source: van den Oord et al., "WaveNet" (2016), in the form of Wright et al., "Real-Time Guitar
Amplifier Emulation with Deep Learning" (2020). One channel in, one out; the input is also the
condition of every layer; no gates, no FiLM.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bunraku_kernels.activations import activation_named
from bunraku_kernels.checks import flag, number, shown
from bunraku_kernels.errors import InvalidInputError

MAX_CHANNELS = 256
MAX_TAPS = 256
MAX_DILATION = 65_536
MAX_LAYERS = 256
MAX_ARRAYS = 16
MAX_HISTORY_FLOATS = 1 << 24  # 64 MiB a stream; the largest models in use need under one


@dataclass(frozen=True)
class LayerPlan:
    """One dilated layer: h = f(conv(x) + mixin * input); x + 1x1(h) is what the next one hears, and
    h joins the skips.

    activation: a name of bunraku_kernels.activations; alpha: its parameter, None for the usual one.
    """

    kernel_size: int
    dilation: int
    activation: str = "tanh"
    alpha: float | None = None

    def __post_init__(self) -> None:
        _check("kernel_size", self.kernel_size, MAX_TAPS)
        _check("dilation", self.dilation, MAX_DILATION)
        activation_named(self.activation)
        if self.alpha is not None:
            object.__setattr__(self, "alpha", number("alpha", self.alpha))

    @property
    def slope(self) -> float:
        """alpha, or what the activation takes without one."""
        return activation_named(self.activation).alpha if self.alpha is None else self.alpha


@dataclass(frozen=True)
class ArrayPlan:
    """Layers of one width; the sum of their skips passes through the head."""

    channels: int
    layers: tuple[LayerPlan, ...]
    head_size: int = 1
    head_kernel_size: int = 1
    head_bias: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", _parts("layers", self.layers, LayerPlan))
        _check("channels", self.channels, MAX_CHANNELS)
        _check("head_size", self.head_size, MAX_CHANNELS)
        _check("head_kernel_size", self.head_kernel_size, MAX_TAPS)
        flag("head_bias", self.head_bias)
        _check("the number of layers", len(self.layers), MAX_LAYERS)


@dataclass(frozen=True)
class WaveNetPlan:
    """Arrays one after the other: each hears the last layer of the one before, and its skip sum
    begins with that one's head, so `head_size` is the next array's `channels`; 1 for the last.

    InvalidInputError where the parts do not fit or a number is out of range.
    """

    arrays: tuple[ArrayPlan, ...]
    text: str = field(init=False, repr=False, compare=False)
    """The plan as the registered operator takes it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrays", _parts("arrays", self.arrays, ArrayPlan))
        object.__setattr__(self, "text", json.dumps([asdict(array) for array in self.arrays]))
        _check("the number of arrays", len(self.arrays), MAX_ARRAYS)
        widths = [array.channels for array in self.arrays[1:]] + [1]
        for index, (array, width) in enumerate(zip(self.arrays, widths, strict=True)):
            if array.head_size != width:
                raise InvalidInputError(
                    f"head_size={array.head_size} of array {index}: {width}, which is "
                    f"{'the output' if width is widths[-1] else 'the channels of the next array'}"
                )
        if self.history_floats > MAX_HISTORY_FLOATS:
            raise InvalidInputError(
                f"a stream would remember {self.history_floats} floats: at most "
                f"{MAX_HISTORY_FLOATS}; use smaller dilations or fewer channels"
            )

    @property
    def weight_count(self) -> int:
        """How many floats the `.nam` format lists for this shape, head_scale included."""
        count, inputs = 1, 1
        for a in self.arrays:
            count += inputs * a.channels + a.head_size * (
                a.channels * a.head_kernel_size + a.head_bias
            )
            for layer in a.layers:
                count += a.channels * (a.channels * (layer.kernel_size + 1) + 3)
            inputs = a.channels
        return count

    @property
    def receptive_field(self) -> int:
        """Frames of input that one frame of output depends on."""
        return 1 + sum(
            sum((layer.kernel_size - 1) * layer.dilation for layer in a.layers)
            + a.head_kernel_size
            - 1
            for a in self.arrays
        )

    @property
    def history_floats(self) -> int:
        """What one stream remembers, without padding."""
        return sum(
            a.channels
            * (sum((n.kernel_size - 1) * n.dilation for n in a.layers) + a.head_kernel_size - 1)
            for a in self.arrays
        )

    @property
    def flop_per_frame(self) -> int:
        """Two for each weight that multiplies a signal: what the figures in docs count."""
        flop, inputs = 0, 1
        for a in self.arrays:
            flop += 2 * a.channels * (inputs + a.head_size * a.head_kernel_size)
            flop += sum(2 * a.channels * (a.channels * (n.kernel_size + 1) + 1) for n in a.layers)
            inputs = a.channels
        return flop

    @staticmethod
    def from_text(text: str) -> WaveNetPlan:
        """The plan whose `text` this is."""
        arrays = []
        for entry in json.loads(text):
            layers = tuple(LayerPlan(**layer) for layer in entry.pop("layers"))
            arrays.append(ArrayPlan(layers=layers, **entry))
        return WaveNetPlan(tuple(arrays))

    @staticmethod
    def a1(channels: int, second: int, first: Sequence[int], then: Sequence[int]) -> WaveNetPlan:
        """NeuralAmpModeler's first generation: two arrays of three-tap tanh layers with these
        dilations. standard is a1(16, 8, d, d) with d = 1, 2, 4 .. 512."""
        widths = ((channels, second, first, False), (second, 1, then, True))
        return WaveNetPlan(
            tuple(
                ArrayPlan(width, _three_taps(dilations), head, 1, bias)
                for width, head, dilations, bias in widths
            )
        )


def _three_taps(dilations: Sequence[int]) -> tuple[LayerPlan, ...]:
    if not isinstance(dilations, Sequence):
        raise InvalidInputError(f"dilations={shown(dilations)}: a list of whole numbers is wanted")
    return tuple(LayerPlan(3, dilation) for dilation in dilations)


def _check(name: str, value: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidInputError(f"{name}={shown(value)}: a whole number from 1 to {most}")


def _parts(name: str, given: object, kind: type) -> tuple[Any, ...]:
    if not isinstance(given, (tuple, list)) or not all(isinstance(part, kind) for part in given):
        raise InvalidInputError(f"{name} is not a tuple of {kind.__name__}: make it one")
    return tuple(given)
