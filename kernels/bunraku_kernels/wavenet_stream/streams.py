"""The voices of a network: what each has heard, updated in place.

Two kinds of memory behind one face: tensors, which CUDA graphs, snapshots and every implementation
but "native" can use, and the voices of the real-time core, which only "native" can play.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from bunraku_kernels.checks import tensor_given
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.stream_checks import check_position, mask_given
from bunraku_kernels.wavenet_stream.weights import FeedforwardWaveNetWeights


@dataclass(frozen=True, eq=False)
class WaveNetStreams(ABC):
    """`batch` voices of one network. Made by `open_streams`, played by `wavenet_stream`, one thread
    at a time.

    ring: [batch, ring floats], what they have heard (empty for the core's voices); position:
    [batch] int64, frames since opened or reset. Both are on the weights' device and keep their
    addresses, so that a captured CUDA graph plays on.
    """

    weights: FeedforwardWaveNetWeights
    ring: Tensor
    position: Tensor

    @property
    def batch(self) -> int:
        return self.position.shape[0]

    @property
    def voices(self) -> int:
        """The number under which the core's voices are found; 0 for memory in tensors."""
        return 0

    def reset(self, mask: Tensor | None = None) -> None:
        """Let the streams where `mask` ([batch] bool, on the streams' device; None: all) be as
        after endless silence, as when they were opened. Does not wait for a GPU."""
        if mask is None:
            mask = torch.ones_like(self.position, dtype=torch.bool)
        mask = mask_given(mask, self.batch)
        if mask.device != self.position.device:
            raise InvalidInputError(f"mask is on {mask.device}: move it to {self.position.device}")
        self._reset(mask)
        self.position.masked_fill_(mask, 0)

    @abstractmethod
    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the streams remember, by name."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Go on from a snapshot of as many streams of this network."""

    @abstractmethod
    def _reset(self, mask: Tensor) -> None: ...


@dataclass(frozen=True, eq=False)
class TensorStreams(WaveNetStreams):
    """Memory in tensors."""

    @staticmethod
    def opened(weights: FeedforwardWaveNetWeights, batch: int) -> TensorStreams:
        with torch.inference_mode(False):  # what it makes can be stepped in no other mode
            ring = weights.silence.expand(batch, -1).clone(memory_format=torch.contiguous_format)
            position = torch.zeros(batch, dtype=torch.int64, device=weights.device)
        return TensorStreams(weights, ring, position)

    def snapshot(self) -> dict[str, Tensor]:
        return {"ring": self.ring.clone(), "position": self.position.clone()}

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        if not isinstance(snapshot, Mapping):
            raise InvalidInputError(
                f"the snapshot is a {type(snapshot).__name__}: a dict, as snapshot() makes it"
            )
        own = {"ring": self.ring, "position": self.position}
        for name, tensor in own.items():
            given = snapshot.get(name)
            if given is not None:
                tensor_given(f"snapshot['{name}']", given)
            if given is None or given.shape != tensor.shape or given.dtype != tensor.dtype:
                what = "absent" if given is None else f"{given.dtype} {list(given.shape)}"
                raise InvalidInputError(
                    f"snapshot['{name}'] is {what}: {tensor.dtype} {list(tensor.shape)}, from as "
                    "many streams of the same network"
                )
        check_position("snapshot['position']", snapshot["position"])
        for name, tensor in own.items():
            tensor.copy_(snapshot[name])

    def _reset(self, mask: Tensor) -> None:
        torch.where(mask[:, None], self.weights.silence, self.ring, out=self.ring)


@dataclass(frozen=True, eq=False)
class CoreStreams(WaveNetStreams):
    """Voices of the real-time core (CPU, float32)."""

    handle: Any  # bunraku_kernels._native.WaveNetVoices

    @property
    def voices(self) -> int:
        return int(self.handle.number)

    def snapshot(self) -> dict[str, Tensor]:
        raise InvalidInputError(_OPAQUE)

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        raise InvalidInputError(_OPAQUE)

    def __reduce__(self) -> NoReturn:
        raise InvalidInputError(_OPAQUE)  # from copy and pickle

    def _reset(self, mask: Tensor) -> None:
        for index in mask.nonzero().flatten().tolist():
            self.handle.reset(index)


_OPAQUE = (
    "the core's voices can be neither copied nor pickled: for snapshots open the streams with "
    "impl='reference' or on a GPU, and keep what their snapshot() gives"
)
