"""float32 means float32: what our gradients and references ask of cuBLAS, cuDNN and autocast."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch

from bunraku_kernels.fork_safe_lock import ForkSafeLock

P = ParamSpec("P")
R = TypeVar("R")

_lock = ForkSafeLock()  # the switches are the process's


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Matrix products and convolutions without TF32, whatever the process allows.

    One thread at a time: of two that overlapped, the first to leave would switch the other back.
    PyTorch has two sets of switches for it and refuses to compute while they disagree, so both are
    set and both are put back.
    """
    with _lock, _switched():
        yield


@contextlib.contextmanager
def _switched() -> Iterator[None]:
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    older, newer, for_conv = _older_switch(), matmul.fp32_precision, conv.fp32_precision
    if older is not None:
        torch.set_float32_matmul_precision("highest")
    matmul.fp32_precision = "ieee"
    conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        if older is not None:
            torch.set_float32_matmul_precision(older)
        matmul.fp32_precision = newer
        conv.fp32_precision = for_conv


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """The function computes in the types of its arguments, also inside torch.autocast."""

    @functools.wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        if not (torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")):
            return function(*args, **kwargs)
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*args, **kwargs)

    return plain


def _older_switch() -> str | None:
    """None in a process that uses the newer switches, where PyTorch will not tell."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None
