"""Fast operators for WaveNets, GAN generators and camera frames, usable without the engine.

Each operator is a folder with one public function: `from bunraku_kernels.bias_act import bias_act`.
`reference.py` in it defines the operator in plain PyTorch, the rest are faster implementations.
`available()` says which of them work here, and why the others do not.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

_HOMES = {
    "available": "registry",
    "ImplementationUnavailableError": "errors",
    "InvalidInputError": "errors",
    "KernelError": "errors",
}
__all__ = ["ImplementationUnavailableError", "InvalidInputError", "KernelError", "available"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"bunraku_kernels has no '{name}'; it has {', '.join(__all__)}")
    if name == "available" and importlib.util.find_spec("torch") is None:
        raise ImportError("bunraku_kernels needs torch: pip install '.[kernels]' in a clone")
    return getattr(importlib.import_module(f"bunraku_kernels.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
