"""What must stand in the environment before the operators are imported.

Without a GPU, Triton's kernels run in its interpreter and the CUDA kernels under our emulator, so
that both are executed.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _simulate_gpu() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    build = ROOT / os.environ.get("BUNRAKU_NATIVE_BUILD", "build/native")
    modules = build / "bunraku_kernels"
    built = sorted(modules.glob("_cuda_emulated*.so"))
    os.environ["BUNRAKU_CUDA_EMULATED_MODULE"] = str(built[0] if built else modules / "none")


if not _has_gpu():
    _simulate_gpu()
