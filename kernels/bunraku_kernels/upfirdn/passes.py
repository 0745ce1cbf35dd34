"""The passes of `upfirdn` that a fused implementation has, from its one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

PLAIN = -1  # order: no bias, no activation; 0 to 2 as in bias_act

Launch = Callable[..., Tensor]
"""(order, x, f, b, dy, ddx, *settings)"""
Pass = Callable[..., Tensor]


def passes(launch: Launch) -> tuple[Pass, Pass, Pass, Pass]:
    """`forward`, `fused`, `fused_grad` and `fused_grad_of_grad`, as registry.py finds them."""

    def forward(x: Tensor, f: Tensor, *settings: Any) -> Tensor:
        return launch(PLAIN, x, f, None, None, None, *settings)

    def fused(x: Tensor, f: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
        return launch(0, x, f, b, None, None, *settings)

    def fused_grad(x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor, *settings: Any) -> Tensor:
        return launch(1, x, f, b, dy, None, *settings)

    def fused_grad_of_grad(
        x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor, ddu: Tensor, *settings: Any
    ) -> Tensor:
        return launch(2, x, f, b, dy, ddu, *settings)

    return forward, fused, fused_grad, fused_grad_of_grad
