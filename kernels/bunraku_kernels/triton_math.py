"""What several Triton kernels compute: the activations of `activations.py`, by code, in float32.

exp-based forms and series stand in for libdevice's tanh, log1p and expm1, which Triton's
interpreter does not know: 2 / (1 + exp(-2x)) - 1, exp(x) - 1 and log(1 + x) lose a small x.
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
    """Below 1: u times a polynomial of u^2, fitted at Chebyshev's points, within 1.2e-7 of tanh."""
    z = tl.minimum(u * u, 1.0)
    p = 0.0022876456 + z * -0.00035488341
    p = 0.02146998 + z * (-0.007924946 + z * p)
    p = 0.13332191 + z * (-0.053872738 + z * p)
    p = 1 + z * (-0.33333281 + z * p)
    return tl.where(tl.abs(u) < 1, u * p, 2 * tl.sigmoid(2 * u) - 1)


@triton.jit
def expm1_of_negative(u):
    """exp(u) - 1 for u of at most 0."""
    t = tanh(0.5 * u)
    return 2 * t / (1 - t)


@triton.jit
def softplus(u):
    """max(u, 0) + log(1 + e), where log(1 + e) is 2 artanh(s) as a series, s of at most 1/3."""
    e = tl.exp(-tl.abs(u))
    s = e / (2 + e)
    z = s * s
    p = 1 / 9 + z * (1 / 11 + z * (1 / 13))
    p = 1 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * p)))
    return tl.maximum(u, 0.0) + 2 * s * p


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
        return tl.where(u > 0, u, alpha * expm1_of_negative(tl.where(u > 0, 0.0, u)))
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
        return tl.zeros_like(u) + 1  # u * 0 would be not-a-number at infinity


@triton.jit
def activation_curve(u, alpha, CODE: tl.constexpr):
    if CODE == TANH:
        t = tanh(u)
        return -2 * t * (1 - t * t)
    elif CODE == SIGMOID:
        s = tl.sigmoid(u)
        return -s * (1 - s) * tanh(0.5 * u)  # 1 - 2s would cancel near zero
    elif CODE == SILU:
        s = tl.sigmoid(u)
        return s * (1 - s) * (2 + u * (1 - 2 * s))
    elif CODE == SOFTPLUS:
        s = tl.sigmoid(u)
        return s * (1 - s)
    elif CODE == ELU:
        return tl.where(u > 0, 0.0, alpha * tl.exp(tl.where(u > 0, 0.0, u)))
    else:
        return tl.zeros_like(u)


@triton.jit
def activated(u, dy, ddx, alpha, gain, clamp, ORDER: tl.constexpr, CODE: tl.constexpr):
    """Order 0: clamped(gain * f(u)). 1: its slope times dy. 2: its curve times dy and ddx.
    Where the clamp holds, and at not-a-number under one, no gradient passes."""
    value = gain * activation_value(u, alpha, CODE)
    if ORDER == 0:
        return clamped(value, clamp)
    else:
        if ORDER == 1:
            y = dy * gain * activation_slope(u, alpha, CODE)
        else:
            y = ddx * dy * gain * activation_curve(u, alpha, CODE)
        return tl.where((clamp < 0) | (tl.abs(value) < clamp), y, 0.0)
