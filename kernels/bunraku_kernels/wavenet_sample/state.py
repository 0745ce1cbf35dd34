"""What a stream of samples remembers: the same tensors on every backend, updated in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bunraku_kernels.checks import stream_count, tensor_given
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.stream_checks import check_position, mask_given
from bunraku_kernels.wavenet_sample.weights import WaveNetWeights


@dataclass(eq=False)
class WaveNetState:
    """The state of a batch of B streams."""

    history: Tensor
    """[B, sum of dilations, R], of the weights' type: one ring for each layer, layer after layer;
    slot (t mod dilation) of a layer's ring holds its input at time t."""
    last: Tensor
    """[B, 2], of the weights' type: the sample before the last, the last; classes as numbers."""
    time: Tensor
    """[B], int64: samples since the stream began."""
    stream: Tensor
    """[B], int64: the stream's number in the random generator, at first its index in the batch."""
    silence: float
    """What `last` is before the first sample."""

    @classmethod
    def initial(cls, weights: WaveNetWeights, batch: int) -> WaveNetState:
        """The state before the first sample: nothing was heard but silence."""
        check_weights(weights)
        batch = stream_count(batch)
        device, dtype = weights.device, weights.dtype
        silence = float(weights.outputs // 2) if weights.is_categorical else 0.0
        slots, channels = weights.history_frames, weights.residual_channels
        with torch.inference_mode(False):  # what it makes can be stepped in no other mode
            return cls(
                torch.zeros(batch, slots, channels, dtype=dtype, device=device),
                torch.full((batch, 2), silence, dtype=dtype, device=device),
                torch.zeros(batch, dtype=torch.int64, device=device),
                torch.arange(batch, dtype=torch.int64, device=device),
                silence,
            )

    @property
    def batch(self) -> int:
        return self.history.shape[0]

    def reset(self, mask: Tensor | None = None) -> None:
        """Back to the beginning, for all streams or those whose `mask` (bool [B]) is true."""
        given = None if mask is None else mask_given(mask, self.batch)
        which = slice(None) if given is None else given.to(self.time.device)
        self.history[which] = 0
        self.last[which] = self.silence
        self.time[which] = 0

    def snapshot(self) -> WaveNetState:
        """A copy that later samples do not change."""
        with torch.inference_mode(False):  # as initial
            return WaveNetState(
                self.history.clone(),
                self.last.clone(),
                self.time.clone(),
                self.stream.clone(),
                self.silence,
            )

    def restore(self, snapshot: WaveNetState) -> None:
        """Take over the values of a snapshot, in place. InvalidInputError, and no change, where it
        is of another network or batch, or its time is beyond 2^62."""
        check_state(snapshot)
        pairs = (
            (self.history, snapshot.history),
            (self.last, snapshot.last),
            (self.time, snapshot.time),
            (self.stream, snapshot.stream),
        )
        for own, kept in pairs:  # all of them before anything is written
            if own.shape != kept.shape or own.dtype != kept.dtype:
                raise InvalidInputError(
                    f"the snapshot is of {kept.dtype} {list(kept.shape)}, this state of "
                    f"{own.dtype} {list(own.shape)}: restore into a state of the same network "
                    "and batch"
                )
        check_position("the snapshot's time", snapshot.time)
        for own, kept in pairs:
            own.copy_(kept)


def check_weights(weights: object) -> None:
    if not isinstance(weights, WaveNetWeights):
        raise InvalidInputError(f"weights is a {type(weights).__name__}: WaveNetWeights are wanted")


def check_state(state: object) -> None:
    """It is one, of tensors."""
    if not isinstance(state, WaveNetState):
        raise InvalidInputError(
            f"the state is a {type(state).__name__}: a WaveNetState as initial and snapshot make "
            "it is wanted"
        )
    for name in ("history", "last", "time", "stream"):
        tensor_given(f"state.{name}", getattr(state, name))
