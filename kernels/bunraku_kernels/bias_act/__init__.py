"""Bias, activation, gain and clamp in one pass over memory."""

from bunraku_kernels.bias_act.op import bias_act

__all__ = ["bias_act"]
