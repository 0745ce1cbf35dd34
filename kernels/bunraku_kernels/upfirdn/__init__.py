"""Upsample, filter, downsample; alone and with bias and activation in the same pass."""

from bunraku_kernels.upfirdn.fused import upfirdn_bias_act
from bunraku_kernels.upfirdn.op import upfirdn

__all__ = ["upfirdn", "upfirdn_bias_act"]
