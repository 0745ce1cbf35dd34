"""What a stream remembers between blocks, as named tensors that never change their address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bunraku.errors import UserInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    Snapshot = Mapping[str, Tensor]


class State:
    """The memory of `batch` independent streams: tensors with the batch in dimension 0.

    All writes are in place, so that a captured CUDA graph keeps reading the right memory.
    """

    def __init__(self, initial: Mapping[str, Tensor], batch: int) -> None:
        """`initial`: name to a tensor [1, ...], what each stream begins with."""
        self._initial = {name: tensor.detach().clone() for name, tensor in initial.items()}
        self._tensors = {
            name: tensor.expand(batch, *tensor.shape[1:]).clone()
            for name, tensor in self._initial.items()
        }
        self.batch = batch

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def put(self, name: str, value: Tensor) -> None:
        """Overwrite a tensor in place with one of the same shape."""
        self._tensors[name].copy_(value)

    def reset(self, mask: Tensor | None = None) -> None:
        """Back to the beginning: every stream, or those where `mask` [batch] is true."""
        if mask is not None and tuple(mask.shape) != (self.batch,):
            raise UserInputError(
                f"mask has shape {tuple(mask.shape)}: give one boolean for each of the "
                f"{self.batch} streams"
            )
        for name, tensor in self._tensors.items():
            if mask is None:
                tensor.copy_(self._initial[name].expand_as(tensor))
            else:
                rows = mask.bool().to(tensor.device)
                tensor[rows] = self._initial[name]

    def snapshot(self) -> Snapshot:
        """A copy that later steps do not touch."""
        return {name: tensor.clone() for name, tensor in self._tensors.items()}

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of this state or of one like it."""
        shapes = {name: tuple(tensor.shape) for name, tensor in snapshot.items()}
        wanted = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}
        if shapes != wanted:
            raise UserInputError(
                f"the snapshot holds {shapes}: this state needs {wanted}; "
                "restore what a state of the same module and batch gave"
            )
        for name, tensor in snapshot.items():
            self.put(name, tensor)
