"""Operators as PyTorch knows them, `torch.ops.bunraku.*`, at a third of the cost of a call through
`torch.library.custom_op`, whose wrappers in Python take longer than a small kernel.

What is left out: custom_op's check, at every call, that no output is an input. Ours return new
tensors; `opcheck` proves it for every operator in the tests. What is added: autocast is off inside,
because an operator's types are its arguments'.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from bunraku_kernels.precision import without_autocast

NAMESPACE = "bunraku"
# Keeps the registrations alive; torch has no types for it.
_LIBRARY: Any = torch.library.Library(NAMESPACE, "FRAGMENT")  # type: ignore[no-untyped-call]


class RegisteredOperator:
    """Call it as the function it was made of; PyTorch dispatches."""

    def __init__(self, name: str, function: Callable[..., Any], mutates: tuple[str, ...]) -> None:
        schema = torch.library.infer_schema(function, mutates_args=mutates)
        _LIBRARY.define(f"{name}{schema}", tags=(torch.Tag.pt2_compliant_tag,))
        # Operators without gradients reach here with autograd still on.
        kernel = without_autocast(torch.no_grad()(function))
        _LIBRARY.impl(name, kernel, "CompositeExplicitAutograd")
        if mutates:
            _bump_versions(name, function, mutates)
        self._name = f"{NAMESPACE}::{name}"
        self._overload = getattr(getattr(torch.ops, NAMESPACE), name).default

    def __call__(self, *arguments: Any) -> Any:
        return self._overload(*arguments)

    def register_fake(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` makes empty outputs of the right shapes and strides, for tracing."""
        torch.library.register_fake(self._name, function, lib=_LIBRARY)
        return function

    def register_autograd(
        self, backward: Callable[..., Any], *, setup_context: Callable[..., None]
    ) -> None:
        """As torch.library.register_autograd."""
        torch.library.register_autograd(
            self._name, without_autocast(backward), setup_context=setup_context, lib=_LIBRARY
        )


def _bump_versions(name: str, function: Callable[..., Any], mutates: tuple[str, ...]) -> None:
    """What is written to counts as changed: autograd notices if it needed the old values."""
    names = list(inspect.signature(function).parameters)
    places = [names.index(mutated) for mutated in mutates]

    def kernel(keyset: torch._C.DispatchKeySet, *arguments: Any) -> Any:
        torch.autograd.graph.increment_version([arguments[place] for place in places])
        with torch._C._AutoDispatchBelowADInplaceOrView():
            overload = getattr(getattr(torch.ops, NAMESPACE), name).default
            return overload.redispatch(keyset & torch._C._after_ADInplaceOrView_keyset, *arguments)

    _LIBRARY.impl(name, kernel, "ADInplaceOrView", with_keyset=True)


def registered(
    name: str, mutates_args: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], RegisteredOperator]:
    """Decorator: the function becomes `torch.ops.bunraku.<name>`; its annotations are the schema.
    `mutates_args` names the tensors that it writes to."""
    return lambda function: RegisteredOperator(name, function, mutates_args)
