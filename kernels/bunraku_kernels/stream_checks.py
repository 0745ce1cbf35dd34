"""What the states of streams ask of a mask, and of a position that a snapshot gives them."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.checks import tensor_given
from bunraku_kernels.errors import InvalidInputError

LAST_POSITION = 1 << 62  # of a restored stream; it plays for ages before the count overflows


def mask_given(mask: object, batch: int) -> Tensor:
    """`mask`, which is bool [batch]: True where a stream is meant."""
    given = tensor_given("mask", mask)
    if given.dtype != torch.bool or tuple(given.shape) != (batch,):
        raise InvalidInputError(f"mask is {given.dtype} {list(given.shape)}: bool [{batch}]")
    return given


def check_position(name: str, position: Tensor) -> None:
    """Every one is within all time: 0 to 2^62."""
    if bool(((position < 0) | (position > LAST_POSITION)).any()):
        raise InvalidInputError(f"{name} is below 0 or above 2^62: it counts what was played")
