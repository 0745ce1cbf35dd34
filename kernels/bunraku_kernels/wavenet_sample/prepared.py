"""What an implementation made of a network's weights, kept as long as those weights live unchanged.

The registered operators take plain tensors, so that they can be traced; packing the weights at each
call would take longer than sampling. What was packed is found again by the tensors' identity and
version; a copy of them is another network, and is packed anew.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import Tensor

MOST_KEPT = 16


class PreparedWeights:
    """The last few preparations, by what they are for and the tensors they were made of."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[list[weakref.ref[Tensor]], Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, purpose: Hashable, tensors: Sequence[Tensor], make: Callable[[], Any]) -> Any:
        """What `make` gave for this purpose and these tensors, now or before."""
        key = (purpose, tuple((id(t), _version(t)) for t in tensors))
        with self._lock:
            found = self._kept.get(key)
            if found is not None and all(
                ref() is tensor for ref, tensor in zip(found[0], tensors, strict=True)
            ):
                self._kept.move_to_end(key)
                return found[1]
            made = make()
            self._kept[key] = ([weakref.ref(t) for t in tensors], made)
            self._kept.move_to_end(key)
            self._forget()
            return made

    def _forget(self) -> None:
        """Drop what belongs to tensors that are gone, and the longest unused beyond the limit."""
        dead = [key for key, (refs, _) in self._kept.items() if any(r() is None for r in refs)]
        for key in dead:
            del self._kept[key]
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
