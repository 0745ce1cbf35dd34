"""A network's weights, arranged once for all its streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bunraku_kernels.checks import shown, tensor_given
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.wavenet_stream.packing import laid_out, program_of
from bunraku_kernels.wavenet_stream.plan import WaveNetPlan
from bunraku_kernels.wavenet_stream.reference import silent_memory


@dataclass(frozen=True, eq=False)
class FeedforwardWaveNetWeights:
    """A network, shared by all its streams and never written to.

    flat: [plan.weight_count], `.nam` order; packed: the same for kernels, head_scale multiplied
    in; silence: [ring floats], a stream's memory after endless silence; program: int32, the plan
    for the CUDA kernel.
    """

    plan: WaveNetPlan
    flat: Tensor
    packed: Tensor
    silence: Tensor
    program: Tensor

    @property
    def device(self) -> torch.device:
        return self.packed.device


def pack_weights(
    plan: WaveNetPlan,
    flat: Tensor | Sequence[float],
    device: torch.device | str | None = None,
) -> FeedforwardWaveNetWeights:
    """The network of `plan` with the weights `flat`, on `device` (None: where they are).

    flat: [plan.weight_count], float32 (or float64, for the reference alone), or a list of numbers,
    which become float32. In the order of the `.nam` format: for each array rechannel [out][in];
    for each layer conv [out][in][tap], the last tap being now, its bias, mixin, 1x1 [out][in] and
    its bias; head [out][in][tap] and perhaps its bias; last of all head_scale. InvalidInputError
    for another count, type or a number that is not finite.
    """
    if not isinstance(plan, WaveNetPlan):
        raise InvalidInputError(f"plan is a {type(plan).__name__}: a WaveNetPlan is wanted")
    flat = _tensor_of(flat) if isinstance(flat, (list, tuple)) else tensor_given("weights", flat)
    if flat.dtype not in (torch.float32, torch.float64):
        raise InvalidInputError(f"weights are {flat.dtype}: float32 (float64 for the reference)")
    if tuple(flat.shape) != (plan.weight_count,):
        raise InvalidInputError(
            f"weights are {list(flat.shape)}: this plan takes [{plan.weight_count}], of which "
            "head_scale is the last"
        )
    flat = _copied(flat, device)
    if not bool(torch.isfinite(flat).all()):
        bad = int((~torch.isfinite(flat)).nonzero()[0])
        raise InvalidInputError(f"weight {bad} is {flat[bad].item()}: all must be finite")
    layout, sources = laid_out(plan)
    index = torch.from_numpy(sources).to(flat.device)
    packed = torch.cat([flat, flat.new_zeros(1)])[index]
    head = layout.arrays[-1].head
    packed[head.matrix.offset : head.bias.offset + head.bias.floats] *= flat[-1]
    silence = silent_memory(layout, packed)
    if not bool(torch.isfinite(silence).all()):
        raise InvalidInputError("the weights are so large that silence overflows: scale them down")
    return FeedforwardWaveNetWeights(
        plan, flat, packed, silence, program_of(layout).to(flat.device)
    )


def _copied(flat: Tensor, device: torch.device | str | None) -> Tensor:
    try:
        return flat.detach().to(device=device, copy=True)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = shown(str(error))
        raise InvalidInputError(f"device={shown(device)}: it cannot be used: {reason}") from error


def _tensor_of(numbers: Sequence[float]) -> Tensor:
    try:
        return torch.tensor(numbers, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InvalidInputError(f"weights: a flat list of numbers is wanted ({error})") from error
