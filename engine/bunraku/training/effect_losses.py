"""Losses of effect training. Signals are (batch, channels, frames) or any equal shapes, float.

ESR, the error-to-signal ratio, is the energy of the error over the energy of the target; with a
first-order pre-emphasis before it, it follows Wright et al., "Real-Time Guitar Amplifier Emulation
with Deep Learning", Applied Sciences 10(3), 2020, equations 7 to 9, and so does the DC term.
"""

from __future__ import annotations

from torch import Tensor

PRE_EMPHASIS = 0.95
"""Coefficient of 1 - a z^-1; lifts the treble, where an ear hears errors that energy hides."""
QUIET_SHARE = 0.01
"""A segment counts as having at least this share of the recording's mean power, so that near
silence is not divided by nothing."""


def esr(output: Tensor, target: Tensor) -> Tensor:
    """Error-to-signal ratio over everything given: sum of (t - y)^2 over sum of t^2. A scalar.

    Raises ZeroDivisionError when the target is silent.
    """
    energy = target.square().sum()
    if float(energy) == 0.0:
        raise ZeroDivisionError("ESR of a silent target")
    return (output - target).square().sum() / energy


def pre_emphasise(x: Tensor) -> Tensor:
    """x[n] - 0.95 x[n-1]; one frame shorter."""
    return x[..., 1:] - PRE_EMPHASIS * x[..., :-1]


def training_loss(
    output: Tensor,
    target: Tensor,
    mean_power: float,
    pre_emphasis_weight: float,
    dc_weight: float,
) -> Tensor:
    """Mean over segments of ESR + weighted pre-emphasised ESR + weighted DC error ratio.

    `output`, `target`: (batch, 1, frames). `mean_power`: mean square of the whole training target.
    """
    floor = QUIET_SHARE * mean_power
    error = output - target
    power = target.square().mean((1, 2)) + floor
    loss = (error.square().mean((1, 2)) / power).mean()
    if pre_emphasis_weight:
        shaped_power = pre_emphasise(target).square().mean().clamp_min(QUIET_SHARE * floor)
        loss = loss + pre_emphasis_weight * pre_emphasise(error).square().mean() / shaped_power
    if dc_weight:
        loss = loss + dc_weight * (error.mean((1, 2)).square() / power).mean()
    return loss
