"""Linear as the `.nam` format has it: one impulse response, as of a cabinet, for every channel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bunraku.formats.check import check_network
from bunraku.formats.specs import LinearSpec
from bunraku.models.weights import collect_weights, load_weights
from bunraku.streaming.module import Memory, StreamingModule


class Linear(StreamingModule):
    """impulse [receptive_field], the first value being "now"; bias [1] or None.

    Channel c of the output hears channel c of the input; further outputs are silent.
    """

    def __init__(
        self, receptive_field: int, bias: bool, in_channels: int = 1, out_channels: int = 1
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.impulse = nn.Parameter(torch.randn(receptive_field) / receptive_field)
        self.bias = nn.Parameter(torch.zeros(1)) if bias else None

    @classmethod
    def from_spec(cls, spec: LinearSpec) -> Linear:
        """The filter of a checked spec."""
        module = cls(spec.receptive_field, spec.bias, spec.in_channels, spec.out_channels)
        load_weights(module.ordered_tensors(), spec.weights)
        return module

    def to_spec(self) -> LinearSpec:
        """The filter as data. ModelFormatError where it is beyond the format's limits."""
        weights = collect_weights(self.ordered_tensors())
        taps, bias = self.impulse.numel(), self.bias is not None
        spec = LinearSpec(taps, bias, weights, self.in_channels, self.out_channels)
        check_network(spec, "the Linear")
        return spec

    def ordered_tensors(self) -> list[Tensor]:
        """What the list of weights holds, in its order."""
        return [self.impulse] if self.bias is None else [self.impulse, self.bias]

    def _run(self, x: Tensor, memory: Memory) -> Tensor:
        heard = min(self.in_channels, self.out_channels)
        taps = self.impulse.numel()
        past_and_now = memory.extended("impulse", x[:, :heard], taps - 1)
        weight = self.impulse.flip(0).expand(heard, 1, taps)
        y = F.conv1d(past_and_now, weight, groups=heard)
        y = y if self.bias is None else y + self.bias
        return F.pad(y, (0, 0, 0, self.out_channels - heard))
