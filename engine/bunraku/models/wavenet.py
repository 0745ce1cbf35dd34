"""WaveNet as the `.nam` format has it: arrays of dilated layers whose skips sum into a head.

Source: van den Oord et al., "WaveNet" (2016), in the non-autoregressive form of Wright et al.,
"Real-Time Guitar Amplifier Emulation with Deep Learning" (2020), with the extensions of the `.nam`
format up to version 0.7 (NeuralAmpModelerCore, whose behaviour decides where the format is open).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bunraku.formats.check import check_network
from bunraku.formats.specs import (
    FILM_SITES,
    GatingMode,
    NetworkSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetPostHeadSpec,
    WaveNetSpec,
)
from bunraku.models.activation import Activation
from bunraku.models.weights import collect_weights, load_weights
from bunraku.streaming.module import CausalConv, Memory, Nested, StreamingModule

DEFAULT_HEAD_SCALE = 0.02


class Film(CausalConv):
    """x * scale (+ shift), both an affine map of the condition."""

    def __init__(self, condition_size: int, channels: int, shift: bool, groups: int) -> None:
        super().__init__(condition_size, channels * (2 if shift else 1), groups=groups)
        self.shift = shift

    def modulate(self, x: Tensor, condition: Tensor, memory: Memory) -> Tensor:
        scale = self.run(condition, memory, "")
        if not self.shift:
            return x * scale
        scale, shift = scale.chunk(2, dim=1)
        return x * scale + shift


class WaveNetLayer(nn.Module):
    """One dilated layer. Children are registered in the order of the weights."""

    def __init__(self, array: WaveNetArraySpec, layer: WaveNetLayerSpec) -> None:
        super().__init__()
        self.gating = layer.gating
        bottleneck = array.bottleneck
        wide = bottleneck * (1 if layer.gating == GatingMode.none else 2)
        self.conv = CausalConv(
            array.channels, wide, layer.kernel_size, layer.dilation, array.groups_input
        )
        self.input_mixin = CausalConv(
            array.condition_size, wide, groups=array.groups_input_mixin, bias=False
        )
        self.layer1x1 = (
            CausalConv(bottleneck, array.channels, groups=array.layer1x1_groups)
            if array.layer1x1_active
            else None
        )
        self.head1x1 = (
            CausalConv(bottleneck, array.head1x1_out_channels, groups=array.head1x1_groups)
            if array.head1x1_active
            else None
        )
        widths = (
            array.channels,
            wide,
            array.condition_size,
            wide,
            wide,
            bottleneck,
            array.channels,
            array.head1x1_out_channels,
        )
        self.films = nn.ModuleDict(
            {
                site: Film(array.condition_size, width, film.shift, film.groups)
                for site, film, width in zip(FILM_SITES, array.films, widths, strict=True)
                if film.active
            }
        )
        self.activation = Activation(layer.activation)
        self.secondary_activation = Activation(layer.secondary_activation)

    def run(self, x: Tensor, condition: Tensor, memory: Memory, name: str) -> tuple[Tensor, Tensor]:
        """x [batch, channels, frames] to (input of the next layer, this layer's skip)."""

        def film(site: str, value: Tensor) -> Tensor:
            if site not in self.films:
                return value
            part = self.films[site]
            assert isinstance(part, Film)
            return part.modulate(value, condition, memory)

        convolved = self.conv.run(film("conv_pre_film", x), memory, f"{name}.conv")
        mixin = self.input_mixin.run(film("input_mixin_pre_film", condition), memory, "")
        z = film("conv_post_film", convolved) + film("input_mixin_post_film", mixin)
        z = self._activate(film("activation_pre_film", z))
        z = film("activation_post_film", z)
        residual = x
        if self.layer1x1 is not None:
            update = self.layer1x1.run(z, memory, "")
            # The format's reference player applies this one only to blended layers; files are
            # trained and heard that way, although the others carry weights for it too.
            if self.gating == GatingMode.blended:
                update = film("layer1x1_post_film", update)
            residual = x + update
        if self.head1x1 is None:
            return residual, z
        return residual, film("head1x1_post_film", self.head1x1.run(z, memory, ""))

    def _activate(self, z: Tensor) -> Tensor:
        if self.gating == GatingMode.none:
            return self.activation(z)  # type: ignore[no-any-return]
        primary, secondary = z.chunk(2, dim=1)
        gate = self.secondary_activation(secondary)
        if self.gating == GatingMode.gated:
            return self.activation(primary) * gate  # type: ignore[no-any-return]
        return gate * self.activation(primary) + (1.0 - gate) * primary  # type: ignore[no-any-return]


class WaveNetArray(nn.Module):
    """Layers of one width; their skips sum onto the skip of the array before, into the head."""

    def __init__(self, array: WaveNetArraySpec) -> None:
        super().__init__()
        self.rechannel = CausalConv(array.input_size, array.channels, bias=False)
        self.layers = nn.ModuleList(WaveNetLayer(array, layer) for layer in array.layers)
        self.head = CausalConv(
            array.accumulator_channels,
            array.head_out_channels,
            array.head_kernel_size,
            array.head_dilation,
            bias=array.head_bias,
        )

    def run(
        self, x: Tensor, condition: Tensor, skip: Tensor | None, memory: Memory, name: str
    ) -> tuple[Tensor, Tensor]:
        """(output of the last layer, output of the head)"""
        x = self.rechannel.run(x, memory, "")
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, WaveNetLayer)
            x, part = layer.run(x, condition, memory, f"{name}.layers.{index}")
            skip = part if skip is None else skip + part
        assert skip is not None
        return x, self.head.run(skip, memory, f"{name}.head")


class PostHead(nn.Module):
    """Activation, then convolution, as often as there are kernel sizes."""

    def __init__(self, spec: WaveNetPostHeadSpec, width: int) -> None:
        super().__init__()
        self.activation = Activation(spec.activation)
        self.convs = nn.ModuleList()
        for index, kernel_size in enumerate(spec.kernel_sizes):
            last = index + 1 == len(spec.kernel_sizes)
            out_channels = spec.out_channels if last else spec.channels
            self.convs.append(CausalConv(width, out_channels, kernel_size))
            width = out_channels

    def run(self, x: Tensor, memory: Memory) -> Tensor:
        for index, conv in enumerate(self.convs):
            assert isinstance(conv, CausalConv)
            x = conv.run(self.activation(x), memory, f"post_head.{index}")
        return x


class WaveNet(StreamingModule):
    """A WaveNet with random weights of the given shape; `from_spec` gives it those of a file.

    `condition`: the network that makes the conditioning signal from the input, else the input is.
    `head_scale` multiplies the last head; it is a constant of the format, not trained.
    """

    head_scale: Tensor

    def __init__(
        self,
        arrays: tuple[WaveNetArraySpec, ...],
        in_channels: int = 1,
        condition: StreamingModule | None = None,
        post_head: WaveNetPostHeadSpec | None = None,
        head_scale: float = DEFAULT_HEAD_SCALE,
    ) -> None:
        super().__init__()
        self.array_specs = arrays
        self.post_head_spec = post_head
        self.in_channels = in_channels
        last = arrays[-1].head_out_channels
        self.out_channels = last if post_head is None else post_head.out_channels
        self.arrays = nn.ModuleList(WaveNetArray(array) for array in arrays)
        self.post_head = None if post_head is None else PostHead(post_head, last)
        self.register_buffer("head_scale", torch.tensor([head_scale]))
        self.condition = condition

    @classmethod
    def from_spec(cls, spec: WaveNetSpec, condition: StreamingModule | None = None) -> WaveNet:
        """The network of a checked spec; `condition` is the module of `spec.condition`."""
        assert (condition is None) == (spec.condition is None)
        module = cls(spec.arrays, spec.in_channels, condition, spec.post_head)
        load_weights(module.ordered_tensors(), spec.weights)
        return module

    def to_spec(self, condition: NetworkSpec | None = None) -> WaveNetSpec:
        """The network as data; `condition` is the spec of the condition network, if there is one.
        ModelFormatError where the shape is beyond the format's limits."""
        weights = collect_weights(self.ordered_tensors())
        spec = WaveNetSpec(
            self.array_specs, weights, self.in_channels, condition, self.post_head_spec
        )
        check_network(spec, "the WaveNet")
        return spec

    def convs(self) -> Iterator[CausalConv]:
        """All convolutions but the condition network's, in the order of the weights."""
        for part in (self.arrays, self.post_head):
            if part is not None:
                yield from (m for m in part.modules() if isinstance(m, CausalConv))

    def ordered_tensors(self) -> list[Tensor]:
        """What the list of weights holds, in its order."""
        tensors: list[Tensor] = []
        for conv in self.convs():
            tensors += conv.ordered_parameters()
        return [*tensors, self.head_scale]

    def _run(self, x: Tensor, memory: Memory) -> Tensor:
        condition = x
        if self.condition is not None:
            condition = self.condition._run(x, Nested(memory, "condition."))
        skip = None
        for index, array in enumerate(self.arrays):
            assert isinstance(array, WaveNetArray)
            x, skip = array.run(x, condition, skip, memory, f"arrays.{index}")
        assert skip is not None
        skip = skip * self.head_scale
        return skip if self.post_head is None else self.post_head.run(skip, memory)
