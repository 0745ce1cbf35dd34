"""The base of every causal network here: weights in the module, memory in a State.

A network is written once, as `_run(x, memory)`: where it needs the past it asks `memory`, which
either knows that all was silence (whole signals, beginnings) or holds what came before (streams).
So streamed equals whole by construction, and a test holds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bunraku.errors import UserInputError
from bunraku.streaming.state import State


class Memory(Protocol):
    """The past, as `_run` asks for it; names are unique in the module, nested ones dotted."""

    def extended(self, name: str, x: Tensor, reach: int) -> Tensor:
        """x [batch, channels, frames] with the `reach` frames before it: [..., reach + frames]."""
        ...

    def recall(self, name: str, beginning: Callable[[], Tensor]) -> Tensor:
        """A recurrent value [batch, ...]; `beginning` makes that of one stream, [1, ...]."""
        ...

    def keep(self, name: str, value: Tensor) -> None:
        """What `recall` gives next."""
        ...


class AfterSilence:
    """All before the first frame was an endless silence; that frame itself is silent.

    Then whatever a layer saw in the past is what it sees now, in the first frame.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.kept: dict[str, Tensor] = {}

    def extended(self, name: str, x: Tensor, reach: int) -> Tensor:
        self.kept[name] = x[..., :1].expand(*x.shape[:-1], reach)
        return F.pad(x, (reach, 0), mode="replicate") if reach else x

    def recall(self, name: str, beginning: Callable[[], Tensor]) -> Tensor:
        first = beginning()
        return first.expand(self.batch, *first.shape[1:])

    def keep(self, name: str, value: Tensor) -> None:
        self.kept[name] = value


class Continued:
    """The past is in a State, which moves on in place."""

    def __init__(self, state: State) -> None:
        self.state = state

    def extended(self, name: str, x: Tensor, reach: int) -> Tensor:
        if not reach:
            return x
        whole = torch.cat([self.state[name], x], dim=-1)
        self.state.put(name, whole[..., whole.shape[-1] - reach :])
        return whole

    def recall(self, name: str, beginning: Callable[[], Tensor]) -> Tensor:
        return self.state[name].clone()

    def keep(self, name: str, value: Tensor) -> None:
        self.state.put(name, value)


class Nested:
    """The memory of a network within a network, under its own prefix."""

    def __init__(self, memory: Memory, prefix: str) -> None:
        self.memory = memory
        self.prefix = prefix

    def extended(self, name: str, x: Tensor, reach: int) -> Tensor:
        return self.memory.extended(self.prefix + name, x, reach)

    def recall(self, name: str, beginning: Callable[[], Tensor]) -> Tensor:
        return self.memory.recall(self.prefix + name, beginning)

    def keep(self, name: str, value: Tensor) -> None:
        self.memory.keep(self.prefix + name, value)


class StreamingModule(nn.Module, ABC):
    """A causal network. It holds weights and no memory: one module serves any number of streams.

    `in_channels` and `out_channels` are set by the subclass. Sources: DESIGN of moshi's and
    NeuralAmpModelerCore's streaming, as facts; the equality of both ways is ours to prove.
    """

    in_channels: int
    out_channels: int

    @abstractmethod
    def _run(self, x: Tensor, memory: Memory) -> Tensor:
        """x [batch, in_channels, frames] to y [batch, out_channels, frames]."""

    def forward(self, x: Tensor) -> Tensor:
        """A whole signal [batch, in_channels, frames] after endless silence, to
        [batch, out_channels, frames]. Differentiable. UserInputError for another shape."""
        self._check(x)
        silence = x.new_zeros(*x.shape[:-1], 1)
        memory = AfterSilence(x.shape[0])
        return self._run(torch.cat([silence, x], dim=-1), memory)[..., 1:]

    @torch.no_grad()
    def init_state(self, batch: int) -> State:
        """The memory of `batch` streams after an endless silence."""
        if batch < 1:
            raise UserInputError(f"batch is {batch}: give 1 or more streams")
        memory = AfterSilence(1)
        like = next(self.parameters())
        self._run(like.new_zeros(1, self.in_channels, 1), memory)
        return State(memory.kept, batch)

    @torch.no_grad()
    def step(self, x: Tensor, state: State) -> Tensor:
        """The next block [batch, in_channels, frames] of each stream; moves `state` on in place.
        UserInputError for another shape or batch."""
        self._check(x)
        if x.shape[0] != state.batch:
            raise UserInputError(
                f"x has {x.shape[0]} streams, the state {state.batch}: give as many of both"
            )
        return self._run(x, Continued(state))

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[1] != self.in_channels:
            raise UserInputError(
                f"x has shape {tuple(x.shape)}: give [batch, {self.in_channels}, frames]"
            )


class CausalConv(nn.Module):
    """A causal convolution whose past comes from memory. weight [out, in / groups, kernel], the
    last tap being "now"; bias [out] or None; a kernel of 1 needs no past."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.dilation = dilation
        self.groups = groups
        self.reach = (kernel_size - 1) * dilation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, kernel_size))
        bound = (in_channels // groups * kernel_size) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def run(self, x: Tensor, memory: Memory, name: str) -> Tensor:
        """x [batch, in, frames] to [batch, out, frames]."""
        whole = memory.extended(name, x, self.reach) if self.reach else x
        return F.conv1d(whole, self.weight, self.bias, dilation=self.dilation, groups=self.groups)

    def ordered_parameters(self) -> list[nn.Parameter]:
        """In the order of the `.nam` format."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]
