"""What several Triton kernels compute: the activations of `activations.py`, by code, in float32.

exp-based forms stand in for libdevice's tanh, which Triton's interpreter does not know.
"""

from __future__ import annotations

import triton
import triton.language as tl

# The places of activations.ACTIVATIONS; a kernel's constants must be tl.constexpr.
RELU = tl.constexpr(1)
LRELU = tl.constexpr(2)
TANH = tl.constexpr(3)
SIGMOID = tl.constexpr(4)
SILU = tl.constexpr(5)
SOFTPLUS = tl.constexpr(6)
ELU = tl.constexpr(7)


@triton.jit
def tanh(u):
    return 2 * tl.sigmoid(2 * u) - 1


@triton.jit
def softplus(u):
    return tl.maximum(u, 0.0) + tl.log(1 + tl.exp(-tl.abs(u)))


@triton.jit
def clamped(value, limit):
    """Not-a-number passes. A negative limit is none."""
    held = tl.where(value > limit, limit, tl.where(value < -limit, -limit, value))
    return tl.where(limit < 0, value, held)


@triton.jit
def activation_value(u, alpha, CODE: tl.constexpr):
    if CODE == RELU:
        return tl.where(u < 0, 0.0, u)  # a maximum would make a number of not-a-number
    elif CODE == LRELU:
        return tl.where(u > 0, u, alpha * u)
    elif CODE == TANH:
        return tanh(u)
    elif CODE == SIGMOID:
        return tl.sigmoid(u)
    elif CODE == SILU:
        return u * tl.sigmoid(u)
    elif CODE == SOFTPLUS:
        return softplus(u)
    elif CODE == ELU:
        return tl.where(u > 0, u, alpha * (tl.exp(tl.where(u > 0, 0.0, u)) - 1))
    else:
        return u


@triton.jit
def activation_slope(u, alpha, CODE: tl.constexpr):
    if CODE == RELU:
        return tl.where(u > 0, 1.0, 0.0)
    elif CODE == LRELU:
        return tl.where(u > 0, 1.0, alpha)
    elif CODE == TANH:
        t = tanh(u)
        return 1 - t * t
    elif CODE == SIGMOID:
        s = tl.sigmoid(u)
        return s * (1 - s)
    elif CODE == SILU:
        s = tl.sigmoid(u)
        return s * (1 + u * (1 - s))
    elif CODE == SOFTPLUS:
        return tl.sigmoid(u)
    elif CODE == ELU:
        return tl.where(u > 0, 1.0, alpha * tl.exp(tl.where(u > 0, 0.0, u)))
    else:
        return u * 0 + 1


@triton.jit
def activation_curve(u, alpha, CODE: tl.constexpr):
    if CODE == TANH:
        t = tanh(u)
        return -2 * t * (1 - t * t)
    elif CODE == SIGMOID:
        s = tl.sigmoid(u)
        return s * (1 - s) * (1 - 2 * s)
    elif CODE == SILU:
        s = tl.sigmoid(u)
        return s * (1 - s) * (2 + u * (1 - 2 * s))
    elif CODE == SOFTPLUS:
        s = tl.sigmoid(u)
        return s * (1 - s)
    elif CODE == ELU:
        return tl.where(u > 0, 0.0, alpha * tl.exp(tl.where(u > 0, 0.0, u)))
    else:
        return u * 0
