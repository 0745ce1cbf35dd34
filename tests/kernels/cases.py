"""Every example of every operator on every implementation that this machine can execute."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from bunraku_kernels import backends
from bunraku_kernels.examples import Example, examples
from bunraku_kernels.registry import operators
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# Largest deviation from the float64 reference of the same (rounded) inputs, over its largest value.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


@dataclass(frozen=True)
class Case:
    operator: str
    example: Example
    impl: str
    dtype: torch.dtype

    @property
    def device(self) -> str:
        return "cpu" if backends.device_type(self.impl) == "cpu" else DEVICE

    def __str__(self) -> str:
        kind = "-simulated" if backends.is_simulated(self.impl) else ""
        name = self.example.name.replace(" ", "_")
        return f"{self.operator}-{name}-{self.impl}{kind}-{str(self.dtype).removeprefix('torch.')}"

    def tensors(self, grad: bool) -> dict[str, Tensor]:
        """The example's tensors as the implementation gets them."""
        return cast(self.example, self.dtype, self.device, grad)

    def reference(self, grad: bool) -> dict[str, Tensor]:
        """The same values, rounded alike, in float64 on the CPU."""
        rounded = cast(self.example, self.dtype, "cpu", grad=False)
        widened = {k: v.double() if v.is_floating_point() else v for k, v in rounded.items()}
        return _with_grad(self.example, widened, grad)

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype] * self.example.scale


def cast(example: Example, dtype: torch.dtype, device: str, grad: bool) -> dict[str, Tensor]:
    tensors = {}
    for name, value in example.tensors.items():
        # .to() of a strided view would lay it out anew: cast the storage, keep the strides.
        kept = value.to(dtype) if value.is_floating_point() else value.clone()
        if value.numel() and not value.is_contiguous():
            kept = _same_strides(value, kept)
        tensors[name] = kept.to(device) if device != "cpu" else kept
    return _with_grad(example, tensors, grad)


def _same_strides(pattern: Tensor, value: Tensor) -> Tensor:
    out = torch.empty_strided(pattern.shape, pattern.stride(), dtype=value.dtype)
    return out.copy_(value)


def _with_grad(example: Example, tensors: dict[str, Tensor], grad: bool) -> dict[str, Tensor]:
    if grad:
        for name in example.differentiable:
            tensors[name] = tensors[name].detach().requires_grad_()
    return tensors


def cases(differentiable: bool = False, second_order: bool = False) -> list[object]:
    """As parameters of a test; what cannot run here is listed as skipped, with the reason."""
    found: list[object] = []
    for name, some in examples().items():
        operator = operators()[name]
        absent = operator.availability().absent
        for impl in operator.implementations:
            for example in some:
                if (differentiable and not example.differentiable) or (
                    second_order and not example.second_order
                ):
                    continue
                for dtype in example.dtypes:
                    case = Case(name, example, impl, dtype)
                    marks = [pytest.mark.skip(reason=absent[impl])] if impl in absent else []
                    if impl in ("native", "reference"):
                        marks.append(pytest.mark.cpu_only)
                    found.append(pytest.param(case, id=str(case), marks=marks))
    return found


def deviation(value: Tensor, truth: Tensor) -> float:
    """Largest difference over the largest magnitude of the truth (at least 1e-3 of 1)."""
    if truth.numel() == 0:
        return 0.0
    difference = (value.detach().cpu().double() - truth.detach()).abs().max().item()
    return float(difference / max(truth.detach().abs().max().item(), 1e-3))
