"""What holds for every operator, on every implementation: an operator is covered by having an
`examples.py`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from bunraku_kernels.examples import Example, examples
from cases import Case, cases, deviation
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

EXAMPLES = [
    pytest.param(name, e, id=f"{name}-{e.name.replace(' ', '_')}")
    for name, some in examples().items()
    for e in some
]


@pytest.mark.parametrize("case", cases())
def test_matches_the_float64_reference(case: Case) -> None:
    tensors = case.tensors(grad=False)
    given = copy.deepcopy(tensors)
    outputs = case.example.run(tensors, case.impl)
    truths = case.example.run(case.reference(grad=False), "reference")
    assert len(outputs) == len(truths)
    for output, truth in zip(outputs, truths, strict=True):
        assert output.shape == truth.shape
        assert output.device.type == case.device
        if case.example.discrete and not output.is_floating_point():
            assert torch.equal(output.cpu(), truth)
        else:
            assert deviation(output, truth) <= case.tolerance
    for name, tensor in tensors.items():
        assert torch.equal(tensor, given[name]), f"{name} was changed"


@pytest.mark.parametrize("case", cases(differentiable=True))
def test_gradients_match_the_float64_reference(case: Case) -> None:
    for name, gradient, truth in _gradients(case, second=False):
        assert deviation(gradient, truth) <= 2 * case.tolerance, name


@pytest.mark.parametrize("case", cases(differentiable=True, second_order=True))
def test_double_backward_matches_the_float64_reference(case: Case) -> None:
    for name, gradient, truth in _gradients(case, second=True):
        assert deviation(gradient, truth) <= 4 * case.tolerance, name


def _gradients(case: Case, second: bool) -> list[tuple[str, Tensor, Tensor]]:
    """Name, gradient and true gradient; of the first derivatives' weighted sum if `second`."""
    example, own, reference = case.example, case.tensors(grad=True), case.reference(grad=True)
    ours = _first_gradients(example, own, case.impl, second)
    truth = _first_gradients(example, reference, "reference", second)
    if second:
        curved = _curved(truth)
        if not curved:
            pytest.skip("linear in everything: the second derivative is zero")
        flat = curved - _curved(ours)
        assert not flat, f"the gradients of {', '.join(sorted(flat))} have no graph"
        ours = _second_gradients(example, own, ours)
        truth = _second_gradients(example, reference, truth)
    names = [n for n in example.differentiable if ours[n] is not None or truth[n] is not None]
    assert names
    return [(n, ours[n], truth[n]) for n in names]


def _first_gradients(
    example: Example, tensors: dict[str, Tensor], impl: str, create_graph: bool
) -> dict[str, Tensor]:
    """Of a weighted sum of the outputs."""
    outputs = [o for o in example.run(tensors, impl) if o.is_floating_point()]
    wanted = [tensors[name] for name in example.differentiable]
    weights = [_weights(o, 1) for o in outputs]
    found = torch.autograd.grad(
        outputs, wanted, weights, create_graph=create_graph, allow_unused=True
    )
    return dict(zip(example.differentiable, found, strict=True))


def _second_gradients(
    example: Example, tensors: dict[str, Tensor], first: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Of a weighted sum of the first gradients."""
    kept = [first[name] for name in example.differentiable if name in _curved(first)]
    wanted = [tensors[name] for name in example.differentiable]
    found = torch.autograd.grad(kept, wanted, [_weights(g, 2) for g in kept], allow_unused=True)
    return dict(zip(example.differentiable, found, strict=True))


def _curved(first: dict[str, Tensor]) -> set[str]:
    """The names whose gradients have gradients."""
    return {name for name, g in first.items() if g is not None and g.requires_grad}


def _weights(like: Tensor, seed: int) -> Tensor:
    """The same numbers for every type and device, exact in all types."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-8, 9, like.shape, generator=generator) / 8
    return values.to(like)


@pytest.mark.cpu_only
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_gradient_formulas(name: str, example: Example) -> None:
    """gradcheck in float64 on the reference: the registered formulas are right."""
    if not example.differentiable:
        pytest.skip("not differentiable")
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in example.tensors.items()}
    wanted = [inputs[n].detach().clone().requires_grad_() for n in example.differentiable]
    if sum(w.numel() for w in wanted) > 4000:
        pytest.skip("too large for finite differences; smaller examples of the operator run")

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        return example.run(
            {**inputs, **dict(zip(example.differentiable, values, strict=True))}, "reference"
        )

    assert torch.autograd.gradcheck(function, wanted, fast_mode=True)
    if example.second_order:
        assert torch.autograd.gradgradcheck(function, wanted, fast_mode=True)


@pytest.mark.cpu_only
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_compiles_in_one_graph(name: str, example: Example) -> None:
    """torch.compile takes the operator without a break, which needs its fake implementation."""
    torch.compiler.reset()
    tensors = {
        k: v.float() if v.is_floating_point() else v.clone() for k, v in example.tensors.items()
    }
    compiled = torch.compile(
        lambda t: example.run(t, "reference"), backend="aot_eager", fullgraph=True
    )
    outputs, truths = compiled(tensors), example.run(tensors, "reference")
    for output, truth in zip(outputs, truths, strict=True):
        assert torch.equal(output, truth)
        assert output.stride() == truth.stride()


class _Calls(TorchDispatchMode):
    """Records the calls of our operators, one of each."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace == "bunraku":
            kept = tree_map(lambda a: a.clone() if isinstance(a, Tensor) else a, args)
            self.seen.setdefault(str(func), (func, kept, kwargs or {}))
        return func(*args, **(kwargs or {}))


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", list(examples()))
def test_opcheck(name: str) -> None:
    """Schema, fake implementation, autograd registration and dynamic shapes, as PyTorch checks
    them, for every registered function of the operator that its examples reach."""
    calls = _Calls()
    for example in examples()[name]:
        tensors = {k: v.float() if v.is_floating_point() else v for k, v in example.tensors.items()}
        for key in example.differentiable:
            tensors[key] = tensors[key].detach().requires_grad_()
        with calls:
            outputs = example.run(tensors, "reference")
            if example.differentiable:
                sum(o.sum() for o in outputs).backward()
    assert calls.seen, "the operator is not registered with torch.library"
    for func, args, kwargs in calls.seen.values():
        torch.library.opcheck(func, args, kwargs)
