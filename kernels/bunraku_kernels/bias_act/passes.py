"""The passes of `bias_act`, from an implementation's one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

Launch = Callable[..., Tensor]
"""(order, ddx, dy, x, b, *settings)"""
Pass = Callable[..., Tensor]


def passes(launch: Launch) -> tuple[Pass, Pass, Pass]:
    """`forward`, `grad` and `grad_of_grad`, as registry.py finds them."""

    def forward(x: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
        return launch(0, None, None, x, b, *settings)

    def grad(dy: Tensor, x: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
        return launch(1, None, dy, x, b, *settings)

    def grad_of_grad(
        ddx: Tensor, dy: Tensor, x: Tensor, b: Tensor | None, *settings: Any
    ) -> Tensor:
        return launch(2, ddx, dy, x, b, *settings)

    return forward, grad, grad_of_grad


def channel_steps(x: Tensor, b: Tensor | None, dim: int) -> tuple[int, int]:
    """How many channels the bias has, and elements of x from one channel to the next."""
    if b is None:
        return 1, 1
    return x.shape[dim], max(x.stride(dim), 1)  # one of size 1 may have any stride, 0 too
