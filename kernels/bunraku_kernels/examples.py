"""Small calls of every operator, for whoever proves or explores it: the tests run each of them on
every implementation, so an operator with an `examples.py` is covered without a line of test code.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bunraku_kernels.registry import operators

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Example:
    """One call: `run(tensors, impl)` gives the outputs; it must not keep or change the tensors.

    `tensors`: float64 and integer tensors on the CPU; floating ones are cast by who runs it.
    `differentiable`: names of the tensors that have gradients. `second_order`: double backward.
    `dtypes`: types other than float64 that the kernels take. `scale`: factor on the tolerance,
    where a result is a long sum. `discrete`: outputs are compared for equality.
    """

    name: str
    tensors: Tensors
    run: Callable[[Tensors, str], tuple[Tensor, ...]]
    differentiable: tuple[str, ...] = ()
    second_order: bool = False
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float16, torch.bfloat16)
    scale: float = 1.0
    discrete: bool = False


class Draw:
    """Reproducible float64 tensors for examples."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=self._generator, dtype=torch.float64)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator, dtype=torch.float64)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=self._generator)


def examples() -> Mapping[str, list[Example]]:
    """The examples of each operator."""
    return {
        name: list(importlib.import_module(f"bunraku_kernels.{name}.examples").examples())
        for name in operators()
    }
