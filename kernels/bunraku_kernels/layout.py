"""Memory layouts that kernels take, and how an operator's arguments come to have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# How one tensor must lie: gives the tensor itself, or a copy that lies so.
Layout = Callable[[Tensor], Tensor]


def any_layout(x: Tensor) -> Tensor:
    """x: who takes it reads its strides."""
    return x


def contiguous(x: Tensor) -> Tensor:
    """x itself when contiguous, else a copy."""
    return x.contiguous()


def laid_out_densely(x: Tensor) -> Tensor:
    """x itself when contiguous or channels-last, else a contiguous copy."""
    if x.is_contiguous() or _is_channels_last(x):
        return x
    return x.contiguous()


def laid_out_like(y: Tensor, x: Tensor) -> Tensor:
    """y with the strides of x, which is dense; both have one shape."""
    if _is_channels_last(x) and not x.is_contiguous():
        return y.contiguous(memory_format=torch.channels_last)
    return y.contiguous()


def with_packed_pixels(frames: Tensor) -> Tensor:
    """[N, H, W, 3] itself when the pixels of a row follow each other, else a contiguous copy; rows
    and frames may lie apart."""
    _, height, width, _ = frames.shape
    _, row, pixel, channel = frames.stride()
    is_packed = channel == 1 and (width == 1 or pixel == 3) and (height == 1 or row >= 3 * width)
    return frames if is_packed else frames.contiguous()


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)


class ArgumentLayouts:
    """The layouts of an operator's tensors: contiguous, unless `layouts` names another for one, or
    names the argument whose layout it must share.

    Whatever a caller, an exported program or a gradient formula hands over, the operator gets what
    it can read. `parameters`: name and type of each, as in the operator's schema.
    """

    def __init__(
        self, parameters: Sequence[tuple[str, str]], layouts: Mapping[str, Layout | str]
    ) -> None:
        names = [name for name, _ in parameters]
        assert set(layouts) <= set(names), f"no such arguments: {set(layouts) - set(names)}"
        rules = {
            place: layouts.get(name, contiguous)
            for place, (name, kind) in enumerate(parameters)
            if kind in ("Tensor", "Optional[Tensor]") and layouts.get(name) is not any_layout
        }
        self._lists = [p for p, (_, kind) in enumerate(parameters) if kind == "List[Tensor]"]
        self._checked = list(rules)
        self._alone = [(place, rule) for place, rule in rules.items() if not isinstance(rule, str)]
        self._shared = [
            (place, names.index(rule)) for place, rule in rules.items() if isinstance(rule, str)
        ]

    def laid_out(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """The arguments, those replaced by copies whose layouts the operator does not take."""
        for place in self._checked:
            value = arguments[place]
            if value is not None and not value.is_contiguous():
                return self._each(arguments)
        # Contiguous tensors satisfy every rule.
        return self._each(arguments) if self._lists else arguments

    def _each(self, arguments: Sequence[Any]) -> Sequence[Any]:
        laid = list(arguments)
        for place, rule in self._alone:
            if laid[place] is not None:
                laid[place] = rule(laid[place])
        for place, other in self._shared:
            if laid[place] is not None:
                laid[place] = laid_out_like(laid[place], laid[other])
        for place in self._lists:
            laid[place] = [contiguous(tensor) for tensor in laid[place]]
        return laid
