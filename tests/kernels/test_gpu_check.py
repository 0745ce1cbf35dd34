"""What of `make gpu-check` can be proven without a GPU: its steps, and the benchmarks it runs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.cpu_only


@pytest.fixture
def check(tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "benchmarks/gpu_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LOGS = tmp_path
    return module


def test_a_late_step_is_ended_with_all_it_started(check: ModuleType, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    late = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 3; touch {sign}'])"
    step = check.run_step("late", [sys.executable, "-c", late], 1)
    assert step["exit"] == 124
    time.sleep(3)
    assert not sign.exists()


def test_a_failed_step_keeps_its_output(check: ModuleType, tmp_path: Path) -> None:
    code = "print('what went wrong'); raise SystemExit(5)"
    step = check.run_step("fails", [sys.executable, "-c", code], 20)
    assert (step["exit"], step["tail"]) == (5, ["what went wrong"])
    assert (tmp_path / step["log"]).read_text().startswith("what went wrong")


def test_every_operator_is_tested_and_measured(check: ModuleType) -> None:
    assert "bias_act" in check.operators()
    # bias_act's cases stand with those of upfirdn, which it follows in a generator.
    assert set(check.benchmarked()) == set(check.operators()) - {"bias_act"}


def test_every_file_of_tests_is_run(check: ModuleType) -> None:
    given = {file for selected in check.test_plan().values() for file in selected}
    files = {str(p.relative_to(ROOT)) for p in ROOT.glob("tests/kernels/test_*.py")}
    assert files <= given
    assert "test_frame.py" in check.test_plan()["frame"][-1]


def test_counts_are_read_from_the_last_line(check: ModuleType) -> None:
    line = "==== 1 failed, 12 passed, 3 skipped, 40 deselected, 2 errors in 7.31s ===="
    expected = {"failed": 1, "passed": 12, "skipped": 3, "deselected": 40, "error": 2}
    assert check.counts(["earlier: 5 passed", line]) == expected
    assert check.counts([]) == {}


def test_figures_of_all_operators_come_together(check: ModuleType) -> None:
    whole = {"machine": {}, "roofs": {}, "roofs_by_operator": {}}
    whole |= {"figures": [], "asked": [], "left_out": []}
    for name, copy in (("frame", 2.0), ("upfirdn", 3.0)):
        part = {"machine": {"device": "a"}, "roofs": {"copy": copy}, "figures": [name]}
        check.merge(whole, {**part, "asked": [], "left_out": []}, name)
    assert whole["figures"] == ["frame", "upfirdn"]
    assert whole["roofs_by_operator"] == {"frame": {"copy": 2.0}, "upfirdn": {"copy": 3.0}}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_done(check: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert any("GPU" in missing for missing in check.what_is_missing())
    sys.argv = ["gpu_check.py"]
    assert check.main() == 2
    assert "not run on a GPU" in capsys.readouterr().err


def benchmark(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks/kernels/run.py"), *options]
    path = f"{ROOT}/kernels:{ROOT}/engine"
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": path}
    )


def test_a_benchmark_writes_figures_and_a_table(tmp_path: Path) -> None:
    out = tmp_path / "frame"
    options = ("--device", "cpu", "--operator", "frame", "--seconds", "0.01", "--budget", "5")
    done = benchmark(*options, "--out", str(out))
    assert done.returncode == 0, done.stderr[-1000:]
    result = json.loads(out.with_suffix(".json").read_text())
    assert {row["impl"] for row in result["figures"]} >= {"native", "eager"}
    assert all(row["of_floor"] > 0 for row in result["figures"] if "error" not in row)
    assert "| frame |" in out.with_suffix(".md").read_text()


def test_a_benchmark_of_nothing_writes_nothing(tmp_path: Path) -> None:
    options = ("--device", "cpu", "--operator", "upsample_conv", "--out", str(tmp_path / "none"))
    done = benchmark(*options)
    assert done.returncode == 2
    assert "nothing written" in done.stderr
    assert not list(tmp_path.iterdir())
