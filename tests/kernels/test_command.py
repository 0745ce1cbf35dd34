"""`python -m bunraku_kernels` as a shell runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu_only

COMMAND = (sys.executable, "-m", "bunraku_kernels", "--json")
PATHS = os.pathsep.join(
    [str(Path(__file__).parents[2] / "kernels"), os.environ.get("PYTHONPATH", "")]
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS}


def test_its_json_names_every_operator() -> None:
    done = subprocess.run(COMMAND, env=ENVIRONMENT, capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)
    assert "reference" in found["bias_act"]["here"]


@pytest.mark.skipif(os.name == "nt", reason="pipes of another kind")
def test_a_reader_that_has_read_enough_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            COMMAND, check=False, env=ENVIRONMENT,
            stdout=write_end, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")
