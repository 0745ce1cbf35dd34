"""Upsampling, convolution, bias and activation as one polyphase convolution."""

from bunraku_kernels.upsample_conv.op import upsample_conv1d, upsample_conv2d
from bunraku_kernels.upsample_conv.phase_conv import phase_conv
from bunraku_kernels.upsample_conv.stream import UpsampleConv1dStream
from bunraku_kernels.upsample_conv.weights import PhaseWeights, phase_weights

__all__ = [
    "PhaseWeights",
    "UpsampleConv1dStream",
    "phase_conv",
    "phase_weights",
    "upsample_conv1d",
    "upsample_conv2d",
]
