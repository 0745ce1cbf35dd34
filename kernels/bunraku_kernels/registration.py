"""Operators as PyTorch knows them, `torch.ops.bunraku.*`, at a third of the cost of a call through
`torch.library.custom_op`, whose wrappers in Python take longer than a small kernel.

What is left out: custom_op's check, at every call, that no output is an input. Ours return new
tensors; `opcheck` proves it for every operator in the tests. What is added: autocast is off inside,
because an operator's types are its arguments'; tensors are copied that do not lie as the operator
states, so that an exported program may be run with others than it was made with; and forward-mode
differentiation, for which there are no formulas, is refused where PyTorch would take the tangents
for zero.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.layout import ArgumentLayouts, Layout
from bunraku_kernels.precision import without_autocast

NAMESPACE = "bunraku"


class _Library(torch.library.Library):
    """Gradients registered through it refuse tangents."""

    def impl(
        self,
        op_name: Any,
        fn: Any,
        dispatch_key: Any = "",
        *,
        with_keyset: Any = False,
        **more: Any,
    ) -> None:
        if dispatch_key == "Autograd":
            assert with_keyset, "torch.library.register_autograd's kernels take one"
            fn = _refusing_tangents(op_name, fn)
        super().impl(  # type: ignore[no-untyped-call]
            op_name, fn, dispatch_key, with_keyset=with_keyset, **more
        )


# Keeps the registrations alive; torch has no types for it.
_LIBRARY: Any = _Library(NAMESPACE, "FRAGMENT")  # type: ignore[no-untyped-call]


class RegisteredOperator:
    """Call it as the function it was made of; PyTorch dispatches."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        mutates: tuple[str, ...],
        layouts: Mapping[str, Layout | str],
    ) -> None:
        schema = torch.library.infer_schema(function, mutates_args=mutates)
        _LIBRARY.define(f"{name}{schema}", tags=(torch.Tag.pt2_compliant_tag,))
        self._name = f"{NAMESPACE}::{name}"
        self._overload = getattr(getattr(torch.ops, NAMESPACE), name).default
        parameters = [(a.name, str(a.type)) for a in self._overload._schema.arguments]
        self._names = [parameter for parameter, _ in parameters]
        self._layouts = ArgumentLayouts(parameters, layouts)
        places = [self._names.index(mutated) for mutated in mutates]
        kernel = without_autocast(_laid_out(function, self._layouts, places))
        _LIBRARY.impl(name, kernel, "CompositeExplicitAutograd")
        if mutates:
            _bump_versions(name, places)

    def __call__(self, *arguments: Any) -> Any:
        return self._overload(*arguments)

    def register_fake(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` makes empty outputs of the right shapes and strides, for tracing; its
        arguments are laid out as the operator's are."""

        @functools.wraps(function)
        def fake(*arguments: Any, **named: Any) -> Any:
            given = [*arguments, *(named[name] for name in self._names[len(arguments) :])]
            return function(*self._layouts.laid_out(given))

        torch.library.register_fake(self._name, fake, lib=_LIBRARY)
        return function

    def register_autograd(
        self, backward: Callable[..., Any], *, setup_context: Callable[..., None]
    ) -> None:
        """As torch.library.register_autograd; the inputs are those of the call, as they lie."""
        torch.library.register_autograd(
            self._name, without_autocast(backward), setup_context=setup_context, lib=_LIBRARY
        )


def _laid_out(
    function: Callable[..., Any], layouts: ArgumentLayouts, mutated: list[int]
) -> Callable[..., Any]:
    """The function as a kernel, whose arguments lie as they must. What it writes to a copy is
    written back."""

    def kernel(*arguments: Any) -> Any:
        # Operators without gradients reach here with autograd still on. torch.no_grad() would do it
        # in a microsecond more.
        was_on = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            laid = layouts.laid_out(arguments)
            result = function(*laid)
            for place in mutated:
                if laid[place] is not arguments[place]:
                    arguments[place].copy_(laid[place])
        finally:
            torch._C._set_grad_enabled(was_on)
        return result

    return kernel


def _refusing_tangents(name: str, autograd_kernel: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(keyset: torch._C.DispatchKeySet, *arguments: Any, **named: Any) -> Any:
        if forward_ad._current_level >= 0 and any(_has_tangent(a) for a in arguments):
            raise InvalidInputError(
                f"{NAMESPACE}::{name} has no forward-mode derivative (torch.func.jvp, dual "
                "tensors): use backward mode, .backward() or torch.autograd.grad"
            )
        return autograd_kernel(keyset, *arguments, **named)

    return kernel


def _has_tangent(argument: Any) -> bool:
    if isinstance(argument, Tensor):
        dual: Any = forward_ad.unpack_dual(argument)  # type: ignore[no-untyped-call]
        return dual.tangent is not None
    return isinstance(argument, (list, tuple)) and any(_has_tangent(value) for value in argument)


def _bump_versions(name: str, mutated: list[int]) -> None:
    """What is written to counts as changed: autograd notices if it needed the old values."""

    def kernel(keyset: torch._C.DispatchKeySet, *arguments: Any) -> Any:
        torch.autograd.graph.increment_version([arguments[place] for place in mutated])
        with torch._C._AutoDispatchBelowADInplaceOrView():
            overload = getattr(getattr(torch.ops, NAMESPACE), name).default
            return overload.redispatch(keyset & torch._C._after_ADInplaceOrView_keyset, *arguments)

    _LIBRARY.impl(name, kernel, "ADInplaceOrView", with_keyset=True)


def registered(
    name: str,
    mutates_args: tuple[str, ...] = (),
    layouts: Mapping[str, Layout | str] | None = None,
) -> Callable[[Callable[..., Any]], RegisteredOperator]:
    """Decorator: the function becomes `torch.ops.bunraku.<name>`; its annotations are the schema.
    `mutates_args` names the tensors that it writes to. `layouts` says of a tensor how it must lie
    if not contiguously: a function of `layout.py`, or the name of the tensor that it must lie as.
    """
    return lambda function: RegisteredOperator(name, function, mutates_args, layouts or {})
