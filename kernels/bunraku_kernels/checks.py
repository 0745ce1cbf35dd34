"""What every operator asks of an argument before it looks closer: that it is of the right kind.

Plain Python numbers and tensors pass in well under a microsecond, and symbolic sizes while tracing.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.errors import InvalidInputError

MOST_STREAMS = 65_536


def tensor_given(name: str, value: object) -> Tensor:
    """`value`, which is a tensor of one shape, of real numbers, with strides."""
    if not isinstance(value, Tensor):
        raise InvalidInputError(
            f"{name} is a {_kind(value)}: a torch.Tensor is wanted; torch.as_tensor makes one"
        )
    if value.layout is not torch.strided:
        raise InvalidInputError(
            f"{name} is laid out as {value.layout}: torch.strided is wanted; to_dense() makes it"
        )
    if value.is_nested:
        raise InvalidInputError(
            f"{name} is a nested tensor: one shape is wanted; torch.nested.to_padded_tensor "
            "gives it"
        )
    if value.is_complex():
        raise InvalidInputError(
            f"{name} is {value.dtype}: real numbers are wanted; view_as_real() makes them"
        )
    return value


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """`value`, from `least` on if that is given. True, False and 2.0 are not whole numbers."""
    if type(value) is not int:
        value = _as_whole(name, value, least)
    if least is not None and value < least:
        raise InvalidInputError(f"{name}={value}: a whole number from {least} is wanted")
    return value  # type: ignore[no-any-return]


def number(name: str, value: Any) -> float:
    """`value` as a finite float."""
    if type(value) is not float and type(value) is not int:
        value = _as_real(name, value)
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise InvalidInputError(f"{name}={value}: a finite number is wanted")
    return value  # type: ignore[no-any-return]


def stream_count(batch: Any) -> int:
    """How many streams one state holds: none is allowed, beyond 65,536 a mistake is likelier."""
    count = whole_number("batch", batch, 0)
    if count > MOST_STREAMS:
        raise InvalidInputError(f"batch={shown(count)}: 0 to {MOST_STREAMS} streams to a state")
    return count


def flag(name: str, value: Any) -> bool:
    """`value`, which is True or False."""
    if type(value) is not bool:
        raise InvalidInputError(f"{name}={shown(value)}: True or False is wanted")
    return value


def is_one_of(value: object, names: Collection[str]) -> bool:
    """Whether `value` is one of these strings; arrays, which compare element by element, and what
    cannot be hashed are not."""
    return isinstance(value, str) and value in names


def _as_whole(name: str, value: Any, least: int | None) -> Any:
    if isinstance(value, torch.SymInt):
        return value
    if isinstance(value, bool) or not isinstance(value, Integral):
        wanted = "a whole number" if least is None else f"a whole number from {least}"
        raise InvalidInputError(f"{name}={shown(value)}: {wanted} is wanted, as an int")
    return int(value)


def _as_real(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (Real, torch.SymFloat, torch.SymInt)):
        raise InvalidInputError(f"{name}={shown(value)}: a finite number is wanted, as a float")
    return value


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def shown(value: object) -> str:
    """On one line, however long the value is."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
