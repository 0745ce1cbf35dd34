"""LSTM as the `.nam` format has it: stacked cells, then an affine head.

Source: Hochreiter and Schmidhuber (1997), gates in the order i, f, g, o with one bias; learned
initial states, which the file carries and which players run on from in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bunraku.formats.check import check_network
from bunraku.formats.specs import LstmSpec
from bunraku.models.weights import collect_weights, load_weights
from bunraku.streaming.module import Memory, StreamingModule

SETTLING_FRAMES = 24_000
"""Half a second at 48 kHz, the silence that the format's reference player runs before audio."""
SETTLING_BLOCK = 500
SETTLED = 1e-14


class LstmLayer(nn.Module):
    """weight [4 hidden, in + hidden], bias [4 hidden], h0 and c0 [hidden]."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        bound = hidden_size**-0.5
        shape = (4 * hidden_size, input_size + hidden_size)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size).uniform_(-bound, bound))
        self.h0 = nn.Parameter(torch.zeros(hidden_size))
        self.c0 = nn.Parameter(torch.zeros(hidden_size))

    def run(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [frames, batch, in]; h and c [batch, hidden]. To (outputs, last h, last c)."""
        weight_in = self.weight[:, : self.input_size]
        weight_hidden = self.weight[:, self.input_size :]
        # The fused kernel of nn.LSTM, which wants two biases; ours is the first.
        weights = [weight_in, weight_hidden, self.bias, torch.zeros_like(self.bias)]
        y, h, c = torch.lstm(x, (h[None], c[None]), weights, True, 1, 0.0, False, False, False)
        return y, h[0], c[0]


class Lstm(StreamingModule):
    """An LSTM with random weights; `from_spec` gives it those of a file."""

    def __init__(
        self, input_size: int, hidden_size: int, layer_count: int, out_channels: int = 1
    ) -> None:
        super().__init__()
        self.in_channels = input_size
        self.out_channels = out_channels
        self.hidden_size = hidden_size
        self.layers = nn.ModuleList(
            LstmLayer(hidden_size if index else input_size, hidden_size)
            for index in range(layer_count)
        )
        self.head = nn.Linear(hidden_size, out_channels)

    @classmethod
    def from_spec(cls, spec: LstmSpec) -> Lstm:
        """The network of a checked spec."""
        module = cls(spec.input_size, spec.hidden_size, spec.layer_count, spec.out_channels)
        load_weights(module.ordered_tensors(), spec.weights)
        return module

    def to_spec(self) -> LstmSpec:
        """The network as data. ModelFormatError where it is beyond the format's limits."""
        weights = collect_weights(self.ordered_tensors())
        spec = LstmSpec(
            self.in_channels, self.hidden_size, len(self.layers), weights, self.out_channels
        )
        check_network(spec, "the LSTM")
        return spec

    def ordered_tensors(self) -> list[Tensor]:
        """What the list of weights holds, in its order."""
        tensors: list[Tensor] = []
        for layer in self.layers:
            assert isinstance(layer, LstmLayer)
            tensors += [layer.weight, layer.bias, layer.h0, layer.c0]
        return [*tensors, self.head.weight, self.head.bias]

    def _run(self, x: Tensor, memory: Memory) -> Tensor:
        settled = self._settle_once()
        y = x.permute(2, 0, 1)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, LstmLayer)
            h = memory.recall(f"layers.{index}.h", partial(settled, 2 * index))
            c = memory.recall(f"layers.{index}.c", partial(settled, 2 * index + 1))
            y, h, c = layer.run(y, h, c)
            memory.keep(f"layers.{index}.h", h)
            memory.keep(f"layers.{index}.c", c)
        return F.linear(y, self.head.weight, self.head.bias).permute(1, 2, 0)

    def _settle_once(self) -> Callable[[int], Tensor]:
        """Gives the settled h and c of each layer in turn; computed at the first call, if any."""
        found: list[Tensor] = []

        def settled(index: int) -> Tensor:
            if not found:
                found.extend(self.settled_state())
            return found[index]

        return settled

    @torch.no_grad()
    def settled_state(self) -> list[Tensor]:
        """h and c of each layer, [1, hidden], after silence: until nothing moves, or for half a
        second where it never does."""
        states = []
        for layer in self.layers:
            assert isinstance(layer, LstmLayer)
            states += [layer.h0[None], layer.c0[None]]
        silence = self.head.weight.new_zeros(SETTLING_BLOCK, 1, self.in_channels)
        for _ in range(SETTLING_FRAMES // SETTLING_BLOCK):
            before, y = states, silence
            states = []
            for index, layer in enumerate(self.layers):
                assert isinstance(layer, LstmLayer)
                y, h, c = layer.run(y, before[2 * index], before[2 * index + 1])
                states += [h, c]
            moved = max(float((a - b).abs().max()) for a, b in zip(before, states, strict=True))
            if moved <= SETTLED:
                break
        return states
