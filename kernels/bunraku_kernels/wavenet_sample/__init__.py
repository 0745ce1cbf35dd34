"""Samples of an autoregressive WaveNet, one after the other, in one call."""

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
