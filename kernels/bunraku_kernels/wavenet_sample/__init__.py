"""Samples of an autoregressive WaveNet, one after the other, in one call.

The sources of its two compiled samplers, which share the network they are given (`network.hpp`):

    cpu/   sampler.*       packing, scratch and the call; a unit for each instruction set
           plan.hpp        the packed network as the units read it
           product.inl, choice.inl, frames.inl     what each unit is made of
           packed_bytes.*, read_bandwidth.*        memory for weights, and how fast it is read
    cuda/  wavenet_sample.cu, launch.hpp           the kernel, its planning and its launch
           plan.hpp        weights, pipeline and shared memory as host and device see them
           block.cuh       a block of the pipeline: block_loading, block_layers, block_outputs
           product.cuh, choice.cuh, transport.cuh  what blocks are made of
"""

from bunraku_kernels.wavenet_sample.op import wavenet_log_likelihood, wavenet_sample
from bunraku_kernels.wavenet_sample.state import WaveNetState
from bunraku_kernels.wavenet_sample.weights import WaveNetWeights, project_condition

__all__ = [
    "WaveNetState",
    "WaveNetWeights",
    "project_condition",
    "wavenet_log_likelihood",
    "wavenet_sample",
]
