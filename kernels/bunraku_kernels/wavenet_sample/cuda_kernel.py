"""Packing, planning and addresses for cuda/wavenet_sample.cu."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.wavenet_sample.state import WaveNetState
from bunraku_kernels.wavenet_sample.weights import DISTRIBUTIONS, WaveNetWeights

LANES = {"fp32": 4, "bf16": 8}
"""Weights in 16 bytes."""
TRANSPORTS = {"auto": 0, "cluster": 1, "grid": 2}


@dataclass(frozen=True)
class Wishes:
    """What the planner would choose by itself: "cluster" or "grid"; blocks of a pipeline; the most
    pipelines; streams that share a pass over the weights (1, 2 or 4); bytes of shared memory in a
    block. Results do not depend on any of them, to the bit, except `blocks`, which orders sums."""

    transport: str = "auto"
    blocks: int = 0
    pipelines: int = 0
    group_streams: int = 0
    capacity: int = 0


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A network on a device as the kernel reads it, and the plans made for it by batch."""

    weights: Tensor
    """uint8, all of the network."""
    dilations: Tensor
    """int32 [L], then where each layer's ring starts in the history, int32 [L]."""
    sizes: tuple[int, ...]
    """R, S, A, O, L, classes or 0, weights in 16 bytes."""
    distribution: int
    history_frames: int
    plans: dict[Any, Any] = field(default_factory=dict)

    def plan(self, batch: int, wishes: Wishes) -> Any:
        key = (batch, wishes)
        if key not in self.plans:
            try:
                self.plans[key] = cuda_module().plan_wavenet_sample(
                    self.sizes, batch, TRANSPORTS[wishes.transport], wishes.blocks,
                    wishes.pipelines, wishes.group_streams, wishes.capacity,
                )  # fmt: skip
            except ValueError as error:
                raise InvalidInputError(str(error)) from error
        return self.plans[key]


def prepare(weights: WaveNetWeights, weight_type: str) -> PackedWeights:
    module: ModuleType = cuda_module()
    classes = weights.outputs if weights.is_categorical else 0
    sizes = (
        weights.residual_channels, weights.skip_channels, weights.hidden_channels, weights.outputs,
        weights.layers, classes, LANES[weight_type],
    )  # fmt: skip
    packed = torch.empty(module.wavenet_sample_bytes(sizes), dtype=torch.uint8)
    tensors = (None if t is None else t.detach() for _, t in weights.tensors())
    near = [None if t is None else t.float().cpu().contiguous() for t in tensors]
    module.pack_wavenet_sample(sizes, [address(t) for t in near], address(packed))
    starts = list(accumulate(weights.dilations, initial=0))[:-1]
    return PackedWeights(
        packed.to(weights.device),
        torch.tensor([*weights.dilations, *starts], dtype=torch.int32).to(weights.device),
        sizes,
        DISTRIBUTIONS.index(weights.distribution),
        weights.history_frames,
    )


def sample(
    packed: PackedWeights, condition: Tensor, state: WaveNetState, temperature: float, seed: int
) -> Tensor:
    return sample_as_wished(packed, condition, state, temperature, seed, Wishes())


def sample_as_wished(
    packed: PackedWeights,
    condition: Tensor,
    state: WaveNetState,
    temperature: float,
    seed: int,
    wishes: Wishes,
) -> Tensor:
    """As `sample`, with a plan that is partly given; for tests and measurements."""
    batch, frames, layers = condition.shape[:3]
    kind = torch.int32 if packed.sizes[5] > 0 else torch.float32
    samples = torch.empty(batch, frames, dtype=kind, device=condition.device)
    if samples.numel() == 0:
        return samples
    plan = packed.plan(batch, wishes)
    scratch = torch.empty(plan.scratch_bytes, dtype=torch.uint8, device=condition.device)
    cuda_module().wavenet_sample(
        plan, address(packed.weights), address(condition), address(state.history),
        address(state.last), address(state.time), address(state.stream),
        address(packed.dilations), address(packed.dilations[layers:]), address(samples),
        address(scratch), batch, frames, packed.history_frames, packed.distribution, temperature,
        seed, cuda_stream(condition),
    )  # fmt: skip
    return samples
