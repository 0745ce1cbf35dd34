"""Every Triton kernel compiles for GPUs that are not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bunraku_kernels
import pytest
from bunraku_kernels.aot import ARCHITECTURES

PACKAGE = Path(bunraku_kernels.__file__).parent
WITH_TRITON = sorted(p.parent.name for p in PACKAGE.glob("*/triton_kernel.py"))

# In a process of its own: the tests' own Triton is the interpreter, which cannot compile.
PROGRAM = """
import importlib, json, sys
module = importlib.import_module(f"bunraku_kernels.{sys.argv[1]}.triton_kernel")
rows = [(k.kernel.__name__, k.compile(int(sys.argv[2]))) for k in module.ahead_of_time()]
print(json.dumps(rows))
"""

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("operator", WITH_TRITON)
def test_triton_kernels_compile(operator: str, architecture: int, tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    command = [sys.executable, "-c", PROGRAM, operator, str(architecture)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout)
    assert rows
    assert all(size > 0 for _, size in rows)
