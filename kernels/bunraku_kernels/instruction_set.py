"""`BUNRAKU_ISA`, by which a user chooses the native implementations' instruction set."""

from __future__ import annotations

import functools
import os

from bunraku_kernels.backends import native_module
from bunraku_kernels.errors import InvalidInputError


def check_asked_isa() -> None:
    """InvalidInputError where BUNRAKU_ISA names one that this machine or build does not have."""
    asked = os.environ.get("BUNRAKU_ISA")
    if asked and asked not in _isas():
        raise InvalidInputError(
            f"BUNRAKU_ISA='{asked}': choose one of {', '.join(_isas())}, or unset it for the best"
        )


@functools.cache
def _isas() -> tuple[str, ...]:
    return tuple(native_module().isa_list())
