"""One WaveNet layer: dilated causal convolution, condition, gate, residual and skip in one pass."""

from bunraku_kernels.dilated_conv.op import dilated_conv

__all__ = ["dilated_conv"]
