"""TF32 is off inside `exact_float32`, and the process keeps its setting, by whichever switch."""

from __future__ import annotations

import pytest
from test_registry import in_new_process

SETTINGS = {
    "untouched": "",
    "allow_tf32": "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True",
    "matmul_precision": "torch.set_float32_matmul_precision('high')",
    "fp32_precision": "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "everything": "torch.backends.fp32_precision = 'tf32'",
}
PROGRAM = """
import torch
from bunraku_kernels.precision import exact_float32
{setting}
matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
before = matmul.fp32_precision, conv.fp32_precision
with exact_float32():
    assert (matmul.fp32_precision, conv.fp32_precision) == ("ieee", "ieee")
    with exact_float32():
        pass
    assert matmul.allow_tf32 is False  # raises where the two sets of switches disagree
assert (matmul.fp32_precision, conv.fp32_precision) == before
print("kept")
"""

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_tf32_is_off_inside_and_as_before_outside(setting: str) -> None:
    assert in_new_process(PROGRAM.format(setting=setting)) == "kept"
