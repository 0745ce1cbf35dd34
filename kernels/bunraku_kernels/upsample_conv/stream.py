"""`upsample_conv1d` block by block: the input frames that a block shares with the next are kept, so
the streamed output equals the whole for any partition."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bunraku_kernels.activations import activation_named
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.checks import number, stream_count, tensor_given, whole_number
from bunraku_kernels.dtypes import FLOAT_TYPES
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.stream_checks import mask_given
from bunraku_kernels.upsample_conv.op import LEAKY_SLOPE, checked_up, epilogue_of, phase_weights_1d
from bunraku_kernels.upsample_conv.phase_conv import OPERATOR, phase_conv


@dataclass(frozen=True)
class UpsampleConv1dState:
    """One batch of streams: `frames` [batch, I, ceil(k / stride) - 1], the last input frames after
    the pre-activation (before the first block, zeros). Updated in place, so CUDA graphs hold."""

    frames: Tensor

    def reset(self, mask: Tensor | None = None) -> None:
        """Make the streams where `mask` (bool [batch]) is true (None: all) as new."""
        if mask is None:
            self.frames.zero_()
            return
        which = mask_given(mask, self.frames.shape[0]).to(self.frames.device)
        self.frames.masked_fill_(which[:, None, None], 0.0)

    def snapshot(self) -> UpsampleConv1dState:
        with torch.inference_mode(False):  # as init_state
            return UpsampleConv1dState(self.frames.clone())

    def restore(self, other: UpsampleConv1dState) -> None:
        """Continue from a snapshot of this state or of one like it."""
        _check_state(other)
        if other.frames.shape != self.frames.shape or other.frames.dtype != self.frames.dtype:
            raise InvalidInputError(
                f"the snapshot holds {other.frames.dtype} {list(other.frames.shape)}: this state "
                f"needs {self.frames.dtype} {list(self.frames.shape)}"
            )
        self.frames.copy_(other.frames)


class UpsampleConv1dStream:
    """The causal form of one transposed convolution: weights prepared once, no state inside.

    Arguments as upsample_conv1d, whose `causal=True` output the blocks join up to. With `padding`,
    the whole signal's output is that of the stream `padding` samples later: `latency_samples`.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        stride: int,
        padding: int = 0,
        pre_activation: str = "linear",
        pre_alpha: float = LEAKY_SLOPE,
        activation: str = "linear",
        alpha: float | None = None,
        gain: float = 1.0,
        impl: str = "auto",
    ) -> None:
        OPERATOR.check(impl)
        if tensor_given("weight", weight).ndim != 3:
            raise InvalidInputError(f"weight is {list(weight.shape)}: [I, O, k] is wanted")
        if weight.dtype not in FLOAT_TYPES or 0 in weight.shape:
            raise InvalidInputError(
                f"weight is {weight.dtype} {list(weight.shape)}: floating-point, no axis empty"
            )
        self.stride = checked_up("stride", stride)
        self.latency_samples = whole_number("padding", padding, 0)
        self.history_frames = -(-weight.shape[2] // self.stride) - 1
        self._like = weight.detach()
        self._kernel = phase_weights_1d(self._like, self.stride, causal=True)
        if bias is not None and (
            tuple(tensor_given("bias", bias).shape) != (weight.shape[1],)
            or bias.dtype != weight.dtype
            or bias.device != weight.device
        ):
            raise InvalidInputError(
                f"bias is {bias.dtype} {list(bias.shape)} on {bias.device}: the weight wants "
                f"{weight.dtype} [{weight.shape[1]}] on {weight.device}"
            )
        self._bias = None if bias is None else bias.detach().clone()
        self._pre = activation_named(pre_activation).name
        self._pre_alpha = number("pre_alpha", pre_alpha)
        self._epilogue = epilogue_of(activation, alpha, gain, None)
        self._impl = impl

    def init_state(self, batch: int) -> UpsampleConv1dState:
        shape = (stream_count(batch), self._like.shape[0], self.history_frames)
        with torch.inference_mode(False):  # what it makes can be stepped in no other mode
            return UpsampleConv1dState(self._like.new_zeros(shape))

    @torch.no_grad()
    def step(self, x: Tensor, state: UpsampleConv1dState) -> Tensor:
        """x [batch, I, T] with any T -> [batch, O, stride * T]."""
        _check_state(state)
        batch, channels, remembered = state.frames.shape
        wanted = (self._like.dtype, self._like.device)
        held = (state.frames.dtype, state.frames.device)
        if (channels, remembered, *held) != (self._like.shape[0], self.history_frames, *wanted):
            raise InvalidInputError(
                f"the state holds {held[0]} [{channels}, {remembered}] a stream on {held[1]}: this "
                f"layer's init_state makes {wanted[0]} "
                f"[{self._like.shape[0]}, {self.history_frames}] on {wanted[1]}"
            )
        if tensor_given("x", x).ndim != 3 or (*x.shape[:2], x.dtype, x.device) != (
            batch,
            channels,
            *wanted,
        ):
            raise InvalidInputError(
                f"x is {x.dtype} {list(x.shape)} on {x.device}: the streams want {wanted[0]} "
                f"[{batch}, {channels}, T] on {wanted[1]}"
            )
        # The state holds frames after the pre-activation: zeros before the signal stay zeros
        # for an f with f(0) != 0.
        frames = x.contiguous()
        if self._pre != "linear":
            frames = bias_act(
                frames, activation=self._pre, alpha=self._pre_alpha, gain=1.0, impl=self._impl
            )
        if x.shape[2] == 0:
            return x.new_zeros(batch, self._kernel.weights.shape[3], 0)
        joined = torch.cat([state.frames, frames], dim=2)
        y = phase_conv(
            joined.unsqueeze(2), self._kernel, size=(1, self.stride * x.shape[2]),
            crop=(0, self.stride * self.history_frames), bias=self._bias,
            epilogue=self._epilogue, impl=self._impl,
        )  # fmt: skip
        # Last, so that a call that fails leaves the stream where it was.
        state.frames.copy_(joined[:, :, joined.shape[2] - self.history_frames :])
        return y.squeeze(2)


def _check_state(state: object) -> None:
    if not isinstance(state, UpsampleConv1dState):
        raise InvalidInputError(
            f"the state is a {type(state).__name__}: an UpsampleConv1dState as init_state and "
            "snapshot make it is wanted"
        )
    if tensor_given("the state's frames", state.frames).ndim != 3:
        raise InvalidInputError(
            f"the state is a block of {list(state.frames.shape)}: [batch, I, frames] is wanted"
        )
