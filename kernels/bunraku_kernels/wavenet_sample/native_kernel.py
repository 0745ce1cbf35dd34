"""Packing and addresses for cpu/sampler.cpp: one core, the best instruction set at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.backends import address, native_module
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.wavenet_sample.state import WaveNetState
from bunraku_kernels.wavenet_sample.weights import DISTRIBUTIONS, WaveNetWeights

WEIGHT_TYPES = ("fp32", "bf16", "int8")
HOTTEST = 1e38  # a temperature that float32 holds; everything is equally likely long before


@dataclass(frozen=True, eq=False)
class PackedNetwork:
    """A network as one instruction set reads it; calls may run at the same time."""

    sampler: Any
    """`_native.WaveNetSampler`"""
    classes: int
    """0 for real values."""

    @property
    def isa(self) -> str:
        return str(self.sampler.isa)

    @property
    def bytes_per_frame(self) -> float:
        """Bytes of weights that a sample of one stream reads."""
        return float(self.sampler.bytes_per_frame)


def isas() -> list[str]:
    """Instruction sets usable here, best first: avx512ext (AVX-512 with products of bfloat16 and of
    bytes), avx512, avx2, portable. BUNRAKU_ISA chooses one."""
    return list(native_module().wavenet_sample_isas())


def prepare(weights: WaveNetWeights, weight_type: str, isa: str = "") -> PackedNetwork:
    """`isa`: one of `isas()`; empty takes BUNRAKU_ISA, else the best."""
    tensors = [None if t is None else t.detach().float().contiguous() for _, t in weights.tensors()]
    try:
        sampler = native_module().WaveNetSampler(
            DISTRIBUTIONS.index(weights.distribution), weights.residual_channels,
            weights.skip_channels, weights.hidden_channels, weights.outputs,
            list(weights.dilations), [address(t) for t in tensors],
            WEIGHT_TYPES.index(weight_type), isa,
        )  # fmt: skip
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    return PackedNetwork(sampler, weights.outputs if weights.is_categorical else 0)


def sample(
    packed: PackedNetwork, condition: Tensor, state: WaveNetState, temperature: float, seed: int
) -> Tensor:
    kind = torch.int32 if packed.classes else torch.float32
    samples = torch.empty(condition.shape[:2], dtype=kind)
    _run(packed, condition, state, samples, None, temperature, seed)
    return samples


def log_likelihood(
    packed: PackedNetwork, samples: Tensor, condition: Tensor, state: WaveNetState
) -> Tensor:
    scores = torch.empty(samples.shape, dtype=torch.float32)
    _run(packed, condition, state, samples, scores, 1.0, 0)
    return scores


def _run(
    packed: PackedNetwork,
    condition: Tensor,
    state: WaveNetState,
    samples: Tensor,
    scores: Tensor | None,
    temperature: float,
    seed: int,
) -> None:
    batch, frames = condition.shape[:2]
    if samples.numel():
        packed.sampler.run(
            address(condition), address(state.history), address(state.last), address(state.time),
            address(state.stream), address(samples), address(scores), batch, frames,
            min(temperature, HOTTEST), seed,
        )  # fmt: skip
