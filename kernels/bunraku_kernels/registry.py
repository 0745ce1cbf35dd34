"""Which implementations of each operator exist, which of them work here, and which one runs.

An operator's `op.py` makes one `Operator`; its implementations are loaded on first use, so that
importing an operator needs neither Triton nor the compiled modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bunraku_kernels import backends
from bunraku_kernels.checks import is_one_of, shown
from bunraku_kernels.choice import Choices
from bunraku_kernels.errors import ImplementationUnavailableError, InvalidInputError

Function = Callable[..., Any]
Refusal = Callable[..., str | None]


@dataclass(frozen=True)
class Implementation:
    """One way to compute an operator: the module `module` of its package, loaded on first use.

    Tensors that decide where it runs are arguments of their own, not inside others.
    It has a function for each pass of the operator ("forward", "backward", ...), of the signature
    that `reference.py` gives it. `refuses` (the arguments of a pass) says why it cannot take
    these, or None.
    """

    backend: str
    module: str
    refuses: Refusal | None = None


@dataclass(frozen=True)
class Availability:
    """`here`: implementations that work in this process, best guess first. `absent`: name to why
    not. `simulated`: those of `here` that run under an interpreter or emulator, for tests only."""

    here: tuple[str, ...]
    absent: Mapping[str, str]
    simulated: tuple[str, ...] = ()


class Operator:
    """One operator and its implementations, in the order in which they are expected to be fast.

    `in_place`: the implementations write to their arguments, so a trial run needs copies.
    """

    def __init__(
        self, package: str, implementations: tuple[Implementation, ...], in_place: bool = False
    ) -> None:
        self.package = package
        self.name = package.rsplit(".", 1)[-1]
        self.implementations = {i.backend: i for i in implementations}
        assert "reference" in self.implementations, f"{self.name} has no reference"
        self._choices = Choices(self.name, in_place)
        # What was found out in this process; a call must not cost more than a small kernel.
        self._checked: set[str] = set()
        self._device_types = {name: backends.device_type(name) for name in self.implementations}
        self._automatic: tuple[str, ...] = ()
        self._functions: dict[tuple[str, str], Function] = {}
        OPERATORS[self.name] = self

    def availability(self) -> Availability:
        reasons = {name: backends.why_not(name) for name in self.implementations}
        return Availability(
            here=tuple(name for name, reason in reasons.items() if reason is None),
            absent={name: reason for name, reason in reasons.items() if reason is not None},
            simulated=tuple(
                n for n, r in reasons.items() if r is None and backends.is_simulated(n)
            ),
        )

    def check(self, impl: str) -> None:
        """Raise unless `impl` is "auto" or names an implementation that works in this process."""
        if isinstance(impl, str) and (impl == "auto" or impl in self._checked):
            return
        if not is_one_of(impl, self.implementations):
            raise InvalidInputError(
                f"impl={shown(impl)}: {self.name} has {', '.join(self.implementations)}; "
                "or say 'auto'"
            )
        reason = backends.why_not(impl)
        if reason is not None:
            raise ImplementationUnavailableError(
                f"{self.name} cannot run impl='{impl}' here: {reason}; at hand: {self._list_here()}"
            )
        self._checked.add(impl)

    def run(self, impl: str, which: str, *arguments: Any) -> Any:
        """Compute the pass `which` with `impl`; "auto" takes the fastest measured for arguments
        like these."""
        index = _gpu_of(arguments)
        if index < 0:
            return self.select(impl, which, *arguments)(*arguments)
        with torch.cuda.device(index):  # kernels are launched on the current device
            return self.select(impl, which, *arguments)(*arguments)

    def select(self, impl: str, which: str, *arguments: Any) -> Function:
        """The function that `run` would call."""
        if impl == "auto":
            return self._choices.fastest(which, self._usable(which, arguments), arguments)
        self.check(impl)
        refusal = self._refusal(impl, arguments)
        if refusal is not None:
            raise InvalidInputError(f"{self.name} with impl='{impl}': {refusal}")
        return self._function(impl, which)

    def _usable(self, which: str, arguments: tuple[Any, ...]) -> dict[str, Function]:
        if not self._automatic:
            here = self.availability().here
            self._automatic = tuple(name for name in here if not backends.is_simulated(name))
        return {
            name: self._function(name, which)
            for name in self._automatic
            if self._refusal(name, arguments) is None
        }

    def _refusal(self, impl: str, arguments: tuple[Any, ...]) -> str | None:
        wanted = self._device_types[impl]
        for argument in arguments:
            if isinstance(argument, torch.Tensor) and wanted not in ("any", argument.device.type):
                return (
                    f"a tensor is on {argument.device}; it takes {wanted} tensors "
                    f"(move them, or choose among {self._list_here()})"
                )
        refuses = self.implementations[impl].refuses
        return None if refuses is None else refuses(*arguments)

    def _function(self, impl: str, which: str) -> Function:
        found = self._functions.get((impl, which))
        if found is None:
            module = f"{self.package}.{self.implementations[impl].module}"
            found = self._functions[impl, which] = getattr(importlib.import_module(module), which)
        return found

    def _list_here(self) -> str:
        return ", ".join(self.availability().here)


def _gpu_of(arguments: tuple[Any, ...]) -> int:
    """The index of the device that must be current while kernels are launched; -1 for none."""
    tensors = (a for a in arguments if isinstance(a, torch.Tensor) and a.is_cuda)
    return next((tensor.get_device() for tensor in tensors), -1)


OPERATORS: dict[str, Operator] = {}


def operators() -> Mapping[str, Operator]:
    """Every operator of the package by name; an operator is a folder that has an `op.py`."""
    root = Path(__file__).parent
    for found in pkgutil.iter_modules([str(root)]):
        if found.ispkg and (root / found.name / "op.py").is_file():
            importlib.import_module(f"bunraku_kernels.{found.name}.op")
    return dict(sorted(OPERATORS.items()))


def available() -> Mapping[str, Availability]:
    """For each operator: which implementations work here, and why the others do not."""
    return {name: operator.availability() for name, operator in operators().items()}
