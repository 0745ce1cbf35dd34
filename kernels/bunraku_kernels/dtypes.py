"""Which number types the kernels take, and what they compute in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch.utils._pytree import tree_map

KERNEL_TYPES = (torch.float32, torch.float16, torch.bfloat16)
HALF_TYPES = (torch.float16, torch.bfloat16)
FLOAT_TYPES = (*KERNEL_TYPES, torch.float64)  # the last for the references alone

P = ParamSpec("P")
R = TypeVar("R")


def refuses_float64(*arguments: Any) -> str | None:
    """The reason for an implementation to refuse, when a tensor is of a type it does not take."""
    for argument in arguments:
        if (
            isinstance(argument, torch.Tensor)
            and argument.is_floating_point()
            and argument.dtype not in KERNEL_TYPES
        ):
            return f"{argument.dtype} is for the reference; it takes float32, float16, bfloat16"
    return None


def computed_in_float32(function: Callable[P, R]) -> Callable[P, R]:
    """A reference whose half-precision arguments are widened and whose results are rounded once,
    as the kernels do; the results take the type of the first tensor."""

    @functools.wraps(function)
    def widened(*args: P.args, **kwargs: P.kwargs) -> R:
        first = next(a for a in args if isinstance(a, torch.Tensor))
        if first.dtype not in HALF_TYPES:
            return function(*args, **kwargs)
        result = function(*tree_map(_widen, args), **tree_map(_widen, kwargs))
        return tree_map(lambda r: _narrow(r, first.dtype), result)  # type: ignore[no-any-return]

    return widened


def _widen(value: Any) -> Any:
    is_half = isinstance(value, torch.Tensor) and value.dtype in HALF_TYPES
    return value.float() if is_half else value


def _narrow(value: Any, dtype: torch.dtype) -> Any:
    is_wide = isinstance(value, torch.Tensor) and value.dtype == torch.float32
    return value.to(dtype) if is_wide else value
