"""nvcc compiles every CUDA source for three architectures; the module loads without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bunraku_kernels
import pytest
import torch

PACKAGE = Path(bunraku_kernels.__file__).parent
ROOT = PACKAGE.parent.parent
BUILD = ROOT / os.environ.get("BUNRAKU_NATIVE_BUILD", "build/native")
BUILT = sorted(BUILD.glob("bunraku_kernels/_cuda.*.so"))
SOURCES = sorted(PACKAGE.rglob("*.cu"))

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not BUILT, reason="no nvcc here: the CUDA module was not built"),
]


@pytest.fixture(scope="module")
def commands() -> list[str]:
    """The compile commands of the module."""
    ninja = Path(sys.executable).parent / "ninja"
    tool = str(ninja) if ninja.exists() else "ninja"
    listed = subprocess.run(
        [tool, "-C", str(BUILD), "-t", "commands", "kernels_cuda"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_every_source_is_compiled_for_three_architectures(
    source: Path, commands: list[str]
) -> None:
    line = next(line for line in commands if f"{source} " in line and " -c " in line)
    for capability in ("80", "90", "100"):
        assert f"sm_{capability}" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_module_loads_and_says_no_device() -> None:
    code = (
        "import sys, bunraku_kernels as k\n"
        f"k.__path__.append({str(BUILT[0].parent) if BUILT else ''!r})\n"
        "import bunraku_kernels._cuda as cuda\n"
        "assert callable(cuda.bias_act)\n"
        "print({s.absent['cuda'] for s in k.available().values() if 'cuda' in s.absent})"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BUNRAKU_", "TRITON_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stderr[-1000:]
    assert "no device" in done.stdout
    assert "not built" not in done.stdout
