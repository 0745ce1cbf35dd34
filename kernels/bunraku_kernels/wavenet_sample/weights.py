"""The weights of a WaveNet that `wavenet_sample` plays, checked once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from bunraku_kernels.checks import is_one_of, shown, tensor_given
from bunraku_kernels.errors import InvalidInputError

Distribution = Literal["categorical", "logistic", "gaussian"]
DISTRIBUTIONS: tuple[Distribution, ...] = ("categorical", "logistic", "gaussian")

MAX_DILATION = 65_536
MAX_HISTORY_FRAMES = 4 * MAX_DILATION
MAX_CHANNELS = 8_192
MAX_LAYERS = 1_024


@dataclass(frozen=True, eq=False)
class WaveNetWeights:
    """An autoregressive WaveNet (van den Oord et al., 2016) with kernels of two taps.

    R residual, S skip, A hidden and O output channels, L layers; floating point, one type, one
    device. O: the number of classes ("categorical"), 3 M for a mixture of M logistics ("logistic":
    M logits, M means, M log-scales), 2 ("gaussian": mean, log-scale).

    Raises InvalidInputError naming the tensor whose shape, type or values are wrong.
    """

    distribution: Distribution
    dilations: tuple[int, ...]
    """Of the L layers, 1 to 65,536 samples each."""
    input_prev: Tensor
    """Of the sample before the last: [classes, R] table, or [R] for real values."""
    input_cur: Tensor
    """Of the last sample, likewise."""
    input_bias: Tensor | None
    """[R] for real values, None for classes."""
    past: Tensor
    """[L, 2R, R], filter rows then gate rows, of the tap `dilation` samples ago."""
    current: Tensor
    """[L, 2R, R]"""
    residual: Tensor
    """[L, R, R]; that of the last layer is never heard."""
    residual_bias: Tensor
    """[L, R]"""
    skip: Tensor
    """[L, S, R]"""
    skip_bias: Tensor
    """[S]"""
    out: Tensor
    """[A, S]"""
    out_bias: Tensor
    """[A]"""
    end: Tensor
    """[O, A]"""
    end_bias: Tensor
    """[O]"""

    def __post_init__(self) -> None:
        if not is_one_of(self.distribution, DISTRIBUTIONS):
            raise InvalidInputError(
                f"distribution={shown(self.distribution)}: one of {', '.join(DISTRIBUTIONS)}"
            )
        _check_dilations(self.dilations)
        for name, tensor in self.tensors():
            if tensor is not None or name != "input_bias":
                tensor_given(name, tensor)
        _check_ranks(self)
        _check_sizes(self)
        for name, shape in self.wanted_shapes().items():
            _check_tensor(self, name, shape)

    @property
    def residual_channels(self) -> int:
        return self.residual.shape[1]

    @property
    def skip_channels(self) -> int:
        return self.skip.shape[1]

    @property
    def hidden_channels(self) -> int:
        return self.out.shape[0]

    @property
    def outputs(self) -> int:
        return self.end.shape[0]

    @property
    def layers(self) -> int:
        return len(self.dilations)

    @property
    def history_frames(self) -> int:
        """Slots of all rings of one stream."""
        return sum(self.dilations)

    @property
    def receptive_field(self) -> int:
        """Samples that the next one depends on."""
        return sum(self.dilations) + 2

    @property
    def is_categorical(self) -> bool:
        return self.distribution == "categorical"

    @property
    def device(self) -> torch.device:
        return self.end.device

    @property
    def dtype(self) -> torch.dtype:
        return self.end.dtype

    def wanted_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, from R, S, A, O and L."""
        r, s, a, o = (
            self.residual_channels,
            self.skip_channels,
            self.hidden_channels,
            self.outputs,
        )
        n = self.layers
        entry = (o, r) if self.is_categorical else (r,)
        shapes: dict[str, tuple[int, ...]] = {
            "input_prev": entry, "input_cur": entry, "past": (n, 2 * r, r),
            "current": (n, 2 * r, r), "residual": (n, r, r), "residual_bias": (n, r),
            "skip": (n, s, r), "skip_bias": (s,), "out": (a, s), "out_bias": (a,),
            "end": (o, a), "end_bias": (o,),
        }  # fmt: skip
        return shapes if self.is_categorical else {**shapes, "input_bias": (r,)}

    def tensors(self) -> Iterator[tuple[str, Tensor | None]]:
        """Name and tensor, in the order of declaration."""
        for field in fields(self):
            if field.name not in ("distribution", "dilations"):
                yield field.name, getattr(self, field.name)

    def to(self, target: torch.device | torch.dtype | str) -> WaveNetWeights:
        """The same weights as another type, or on another device."""
        moved = {name: None if t is None else t.to(target) for name, t in self.tensors()}
        return WaveNetWeights(self.distribution, self.dilations, **moved)  # type: ignore[arg-type]


def project_condition(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Condition [B, T, L, 2R] of features [B, C, T], by weight [L, 2R, C] and bias [L, 2R]: one
    matrix product for as many samples as there are. Raises InvalidInputError on shapes."""
    for name, tensor in (("features", features), ("weight", weight), ("bias", bias)):
        tensor_given(name, tensor)
    if features.ndim != 3 or weight.ndim != 3 or features.shape[1] != weight.shape[2]:
        raise InvalidInputError(
            f"features {list(features.shape)} and weight {list(weight.shape)}: "
            "[batch, channels, samples] and [layers, 2 * residual, channels] are wanted"
        )
    if bias.shape != weight.shape[:2]:
        raise InvalidInputError(f"bias {list(bias.shape)}: {list(weight.shape[:2])} is wanted")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor.dtype != features.dtype or tensor.device != features.device:
            raise InvalidInputError(
                f"{name} is {tensor.dtype} on {tensor.device}: features are {features.dtype} on "
                f"{features.device}; convert it"
            )
    layers, gated, channels = weight.shape
    flat = torch.nn.functional.linear(
        features.transpose(1, 2), weight.reshape(layers * gated, channels), bias.reshape(-1)
    )
    return flat.reshape(*flat.shape[:2], layers, gated)


def _check_dilations(dilations: tuple[int, ...]) -> None:
    if not isinstance(dilations, (tuple, list)):
        raise InvalidInputError(f"dilations={shown(dilations)}: a tuple of whole numbers is wanted")
    if not 1 <= len(dilations) <= MAX_LAYERS:
        raise InvalidInputError(f"{len(dilations)} dilations: 1 to {MAX_LAYERS} layers are played")
    for index, dilation in enumerate(dilations):
        if (
            not isinstance(dilation, int)
            or isinstance(dilation, bool)
            or not 1 <= dilation <= MAX_DILATION
        ):
            raise InvalidInputError(
                f"dilations[{index}]={dilation}: a whole number from 1 to {MAX_DILATION}"
            )
    if sum(dilations) > MAX_HISTORY_FRAMES:
        raise InvalidInputError(
            f"the dilations add up to {sum(dilations)}: at most {MAX_HISTORY_FRAMES} samples of "
            "history are kept; use fewer or shorter ones"
        )


def _check_ranks(weights: WaveNetWeights) -> None:
    """The tensors that the sizes are read from have the right number of dimensions."""
    for name, ndim in {"residual": 3, "skip": 3, "out": 2, "end": 2}.items():
        shape = list(getattr(weights, name).shape)
        if len(shape) != ndim:
            raise InvalidInputError(f"{name} is {shape}: it has {ndim} dimensions")
    if weights.is_categorical and weights.input_bias is not None:
        raise InvalidInputError("input_bias: a categorical network has none, pass None")
    if not weights.is_categorical and weights.input_bias is None:
        raise InvalidInputError(f"input_bias is None: a {weights.distribution} network has one")


def _check_sizes(weights: WaveNetWeights) -> None:
    sizes = {
        "residual": weights.residual_channels,
        "skip": weights.skip_channels,
        "hidden": weights.hidden_channels,
        "output": weights.outputs,
    }
    for name, size in sizes.items():
        if not 1 <= size <= MAX_CHANNELS:
            raise InvalidInputError(f"{size} {name} channels: 1 to {MAX_CHANNELS} are played")
    outputs = weights.outputs
    if weights.distribution == "categorical" and outputs < 2:
        raise InvalidInputError(f"{outputs} classes: a categorical network has 2 or more")
    if weights.distribution == "gaussian" and outputs != 2:
        raise InvalidInputError(f"{outputs} outputs: a gaussian has 2, mean and log-scale")
    if weights.distribution == "logistic" and outputs % 3:
        raise InvalidInputError(f"{outputs} outputs: a mixture of M logistics has 3 M")


def _check_tensor(weights: WaveNetWeights, name: str, shape: tuple[int, ...]) -> None:
    tensor = getattr(weights, name)
    if tuple(tensor.shape) != shape:
        raise InvalidInputError(f"{name} is {list(tensor.shape)}: {list(shape)} is wanted")
    if not tensor.is_floating_point() or tensor.dtype != weights.dtype:
        raise InvalidInputError(
            f"{name} is {tensor.dtype}: floating point as end ({weights.dtype})"
        )
    if tensor.device != weights.device:
        raise InvalidInputError(f"{name} is on {tensor.device}: end is on {weights.device}")
    # A value cannot be looked at while a graph is traced.
    if not torch.compiler.is_compiling() and not bool(torch.isfinite(tensor).all()):
        raise InvalidInputError(f"{name} holds NaN or infinity: train or load the network again")
