"""`impl="auto"`: measure the implementations once for each kind of input, and remember the fastest.

The kind of an input is its device, its types, its layout and its sizes rounded up to powers of two,
so that a stream of slightly varying sizes is measured once; the kinds first met longest ago are
forgotten beyond the last 1024. A candidate that fails is left out.
Nothing is timed while a CUDA graph is being captured: then the first expectation is taken, and the
next ordinary call measures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_map

from bunraku_kernels.fork_safe_lock import ForkSafeLock

log = logging.getLogger("bunraku_kernels")

TRIALS = 5
MOST_KINDS = 1024  # remembered for each operator
GIVE_UP_AFTER_S = 0.25  # for each candidate: a slow one is not run five times to be sure

Function = Callable[..., Any]


class Choices:
    """What was measured for one operator in this process."""

    def __init__(self, operator: str, in_place: bool) -> None:
        self._operator = operator
        self._in_place = in_place
        self._fastest: dict[Hashable, str] = {}
        self._lock = ForkSafeLock()

    def fastest(
        self, which: str, usable: Mapping[str, Function], arguments: tuple[Any, ...]
    ) -> Function:
        """Of the functions in `usable` (most promising first), the fastest on such arguments.
        `which` pass of the operator they compute is part of what is remembered."""
        first = next(iter(usable))
        kind = (which, tuple(usable), kind_of(arguments) if len(usable) > 1 else None)
        chosen = self._fastest.get(kind)
        if chosen is None:
            if _is_capturing(arguments):
                return usable[first]
            with self._lock:
                chosen = self._fastest.get(kind) or self._choose(which, usable, arguments)
                self._remember(kind, chosen)
        return usable[chosen]

    def _remember(self, kind: Hashable, chosen: str) -> None:
        """First in, first out: a call that finds its kind has no order to keep."""
        self._fastest[kind] = chosen
        while len(self._fastest) > MOST_KINDS:
            del self._fastest[next(iter(self._fastest))]

    def _choose(
        self, which: str, usable: Mapping[str, Function], arguments: tuple[Any, ...]
    ) -> str:
        name = f"{self._operator}.{which}"
        if len(usable) > 1:
            return self._measure(name, usable, arguments)
        only = next(iter(usable))
        slow = only == "reference" and bool(_devices(arguments))
        level = logging.WARNING if slow else logging.INFO
        why = "; available() says why the others are not" if slow else ""
        log.log(level, "%s: auto is %s, the only one usable%s", name, only, why)
        return only

    def _measure(
        self, name: str, usable: Mapping[str, Function], arguments: tuple[Any, ...]
    ) -> str:
        seconds: dict[str, float] = {}
        failures: list[Exception] = []
        for impl, run in usable.items():
            try:
                seconds[impl] = self._seconds(run, arguments)
            except Exception as error:  # out of memory, no code for this GPU, no compiler, ...
                failures.append(error)
                log.warning("%s: auto leaves out %s: %s", name, impl, error)
        if not seconds:
            raise failures[0]
        chosen = min(seconds, key=lambda impl: seconds[impl])
        figures = ", ".join(f"{impl} {1e6 * value:.0f} us" for impl, value in seconds.items())
        log.info("%s on %s: auto is %s (%s)", name, _described(arguments), chosen, figures)
        return chosen

    def _seconds(self, run: Function, arguments: tuple[Any, ...]) -> float:
        """Shortest of a few runs after one that compiles; the device is idle around each."""
        best, spent = float("inf"), 0.0
        for trial in range(TRIALS + 1):
            own = _copied(arguments) if self._in_place else arguments
            _synchronize(arguments)
            start = time.perf_counter()
            run(*own)
            _synchronize(arguments)
            elapsed = time.perf_counter() - start
            if trial > 0:
                best, spent = min(best, elapsed), spent + elapsed
            if spent > GIVE_UP_AFTER_S or (trial == 0 and elapsed > 4 * GIVE_UP_AFTER_S):
                return min(best, elapsed)
        return best


def kind_of(arguments: Any) -> Hashable:
    """Arguments that may be expected to take the same time have the same kind."""
    if isinstance(arguments, torch.Tensor):
        sizes = tuple(
            size if size < 2 else 1 << (size - 1).bit_length() for size in arguments.shape
        )
        channels_last = arguments.ndim == 4 and arguments.stride(1) == 1
        return (str(arguments.device), str(arguments.dtype), sizes, channels_last)
    if isinstance(arguments, (list, tuple)):
        return tuple(kind_of(value) for value in arguments)
    kept: Hashable = arguments if isinstance(arguments, (int, str, type(None))) else None
    return (type(arguments).__name__, kept)


def _copied(arguments: Any) -> Any:
    return tree_map(lambda a: a.clone() if isinstance(a, torch.Tensor) else a, arguments)


def _devices(arguments: Any) -> set[torch.device]:
    if isinstance(arguments, torch.Tensor):
        return {arguments.device} if arguments.device.type == "cuda" else set()
    if isinstance(arguments, (list, tuple)):
        return set().union(*(_devices(value) for value in arguments))
    return set()


def _synchronize(arguments: tuple[Any, ...]) -> None:
    for device in _devices(arguments):
        torch.cuda.synchronize(device)


def _is_capturing(arguments: tuple[Any, ...]) -> bool:
    return bool(_devices(arguments)) and torch.cuda.is_current_stream_capturing()


def _described(arguments: tuple[Any, ...]) -> str:
    tensors = [a for a in arguments if isinstance(a, torch.Tensor)]
    if not tensors:
        return "no tensors"
    first = tensors[0]
    return f"{first.device} {str(first.dtype).removeprefix('torch.')} {list(first.shape)}"
