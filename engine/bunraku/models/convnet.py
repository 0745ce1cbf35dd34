"""ConvNet as the `.nam` format has it: blocks of a two-tap dilated convolution, batch norm (or a
bias) and an activation, then an affine head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bunraku.formats.check import check_network
from bunraku.formats.specs import ActivationSpec, ConvNetSpec
from bunraku.models.activation import Activation
from bunraku.models.weights import collect_weights, load_weights
from bunraku.streaming.module import CausalConv, Memory, StreamingModule

KERNEL_SIZE = 2
DEFAULT_EPSILON = 1e-5


class FixedBatchNorm(nn.Module):
    """Batch norm with given statistics: (x - mean) / sqrt(variance + epsilon) * weight + bias."""

    mean: Tensor
    variance: Tensor
    epsilon: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.register_buffer("epsilon", torch.tensor([DEFAULT_EPSILON]))
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.variance + self.epsilon).rsqrt()
        return x * scale[:, None] + (self.bias - self.mean * scale)[:, None]

    def ordered_tensors(self) -> list[Tensor]:
        return [self.mean, self.variance, self.weight, self.bias, self.epsilon]


class ConvNetBlock(nn.Module):
    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilation: int,
        groups: int,
        batchnorm: bool,
        activation: ActivationSpec,
    ) -> None:
        super().__init__()
        self.conv = CausalConv(
            in_channels, channels, KERNEL_SIZE, dilation, groups, bias=not batchnorm
        )
        self.norm = FixedBatchNorm(channels) if batchnorm else None
        self.activation = Activation(activation)

    def run(self, x: Tensor, memory: Memory, name: str) -> Tensor:
        y = self.conv.run(x, memory, name)
        y = y if self.norm is None else self.norm(y)
        return self.activation(y)  # type: ignore[no-any-return]

    def ordered_tensors(self) -> list[Tensor]:
        norm = [] if self.norm is None else self.norm.ordered_tensors()
        return [*self.conv.ordered_parameters(), *norm]


class ConvNet(StreamingModule):
    """A ConvNet with random weights; `from_spec` gives it those of a file."""

    def __init__(
        self,
        channels: int,
        dilations: tuple[int, ...],
        batchnorm: bool,
        activation: ActivationSpec,
        in_channels: int = 1,
        out_channels: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.channels, self.dilations, self.groups = channels, dilations, groups
        self.batchnorm = batchnorm
        self.activation_spec = activation
        self.blocks = nn.ModuleList(
            ConvNetBlock(
                channels if index else in_channels,
                channels,
                dilation,
                groups,
                batchnorm,
                activation,
            )
            for index, dilation in enumerate(dilations)
        )
        self.head = CausalConv(channels, out_channels)

    @classmethod
    def from_spec(cls, spec: ConvNetSpec) -> ConvNet:
        """The network of a checked spec."""
        module = cls(
            spec.channels,
            spec.dilations,
            spec.batchnorm,
            spec.activation,
            spec.in_channels,
            spec.out_channels,
            spec.groups,
        )
        load_weights(module.ordered_tensors(), spec.weights)
        return module

    def to_spec(self) -> ConvNetSpec:
        """The network as data. ModelFormatError where it is beyond the format's limits."""
        spec = ConvNetSpec(
            self.channels,
            self.dilations,
            self.batchnorm,
            self.activation_spec,
            collect_weights(self.ordered_tensors()),
            self.in_channels,
            self.out_channels,
            self.groups,
        )
        check_network(spec, "the ConvNet")
        return spec

    def ordered_tensors(self) -> list[Tensor]:
        """What the list of weights holds, in its order."""
        tensors: list[Tensor] = []
        for block in self.blocks:
            assert isinstance(block, ConvNetBlock)
            tensors += block.ordered_tensors()
        return [*tensors, *self.head.ordered_parameters()]

    def _run(self, x: Tensor, memory: Memory) -> Tensor:
        for index, block in enumerate(self.blocks):
            assert isinstance(block, ConvNetBlock)
            x = block.run(x, memory, f"blocks.{index}")
        return self.head.run(x, memory, "")
