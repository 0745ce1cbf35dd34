"""What of `make gpu-check` can be proven without a GPU: its steps, and the benchmarks it runs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.cpu_only


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "benchmarks/gpu_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.gpu_steps, "LOGS", tmp_path)
    return module


@pytest.fixture
def steps(check: ModuleType) -> ModuleType:
    return check.gpu_steps


def test_a_late_step_is_ended_with_all_it_started(check: ModuleType, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    late = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 3; touch {sign}'])"
    step = check.run_step("late", [sys.executable, "-c", late], 1)
    assert (step["exit"], step["outcome"]) == (124, "cut by the deadline")
    time.sleep(3)
    assert not sign.exists()


def test_a_failed_step_keeps_its_output(check: ModuleType, tmp_path: Path) -> None:
    code = "print('what went wrong'); raise SystemExit(4)"
    step = check.run_step("fails", [sys.executable, "-c", code], 20)
    assert (step["exit"], step["tail"]) == (4, ["what went wrong"])
    assert step["outcome"] == "failed"
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


def test_counts_are_read_from_the_last_line(steps: ModuleType) -> None:
    line = "==== 1 failed, 12 passed, 3 skipped, 40 deselected, 2 errors in 7.31s ===="
    expected = {"failed": 1, "passed": 12, "skipped": 3, "deselected": 40, "error": 2}
    assert steps.counts(["earlier: 5 passed", line]) == expected
    assert steps.counts([]) == {}


SLOW_TESTS = """
import time
def test_passes(): pass
{middle}
def test_late(): time.sleep(60)
"""


def step_of_tests(
    steps: ModuleType, tmp_path: Path, text: str, seconds: float, *options: str
) -> dict[str, Any]:
    file = tmp_path / "test_some.py"
    file.write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(file)]
    return steps.judge_tests(steps.run_step("tests of some", command, seconds))


@pytest.mark.parametrize(
    ("middle", "outcome", "counted"),
    [
        ("", "cut by the deadline", {"passed": 1}),
        ("def test_wrong(): assert False", "failed", {"passed": 1, "failed": 1}),
    ],
)
def test_tests_that_the_deadline_cut_keep_what_they_found(
    steps: ModuleType, tmp_path: Path, middle: str, outcome: str, counted: dict[str, int]
) -> None:
    step = step_of_tests(steps, tmp_path, SLOW_TESTS.format(middle=middle), 4)
    assert (step["outcome"], step["counts"], step["cut"]) == (outcome, counted, True)
    verdict = steps.verdict([step])
    assert verdict["exit"] == (outcome == "failed")
    assert verdict["cut by the deadline"] == ["tests of some"]
    row = steps.table([step]).splitlines()[-1]
    assert "cut by the deadline" in row
    assert "1 passed" in row


def test_tests_that_hang_keep_what_they_found(
    steps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a kernel that never ends: pytest gets no chance to count."""
    monkeypatch.setattr(steps, "GRACE_S", 0.1)
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    middle = "def test_wrong(): assert False"
    step = step_of_tests(steps, tmp_path, deaf + SLOW_TESTS.format(middle=middle), 4)
    assert (step["outcome"], step["cut"]) == ("failed", True)
    assert step["counts"] == {"passed": 1, "failed": 1}


def test_tests_that_prove_nothing_fail_the_check(steps: ModuleType, tmp_path: Path) -> None:
    skipping = "import pytest\n@pytest.mark.skip\ndef test_some(): pass\n"
    for text, options in ((skipping, ()), ("def test_some(): pass\n", ("-k", "other"))):
        step = step_of_tests(steps, tmp_path, text, 30, *options)
        assert step["outcome"] == "nothing ran"
        assert steps.verdict([step]) == {"exit": 1, "nothing ran": ["tests of some"]}


def test_what_a_machine_lacks_is_said_and_no_failure(steps: ModuleType) -> None:
    done = {"step": "tests", "outcome": "done", "exit": 0, "seconds": 3.0, "tail": []}
    found = [done, steps.skipped("sanitizer", "compute-sanitizer is not on PATH")]
    assert steps.verdict(found) == {"exit": 0, "skipped": ["sanitizer"]}
    assert "| sanitizer | skipped | 0 | compute-sanitizer is not" in steps.table(found)


def test_results_are_written_without_a_single_figure(
    check: ModuleType, steps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "RESULTS", tmp_path)
    tests = {"step": "tests of frame", "outcome": "done", "exit": 0, "seconds": 3.0, "tail": []}
    late = {**tests, "step": "figures of frame", "outcome": "cut by the deadline", "exit": 124}
    result: dict[str, Any] = {"machine": {"device": "a"}, "roofs": {}}
    result |= {"figures": [], "asked": [], "left_out": ["frame: 720p"]}
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert check.report(result, [{**tests, "counts": {"passed": 7}}, late], 9.0) == 0
    written = json.loads((tmp_path / "gpu_check_a.json").read_text())
    assert written["verdict"] == {"exit": 0, "cut by the deadline": ["figures of frame"]}
    page = (tmp_path / "gpu_check_a.md").read_text()
    assert "| tests of frame | done | 3 | 7 passed |" in page
    assert "| figures of frame | cut by the deadline |" in page
    assert "Left out for want of time: frame: 720p" in page


@pytest.mark.parametrize(("outcome", "status"), [("cut by the deadline", 0), ("failed", 1)])
def test_the_exit_status_is_of_what_failed(
    check: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outcome: str,
    status: int,
) -> None:
    """The whole check, its steps replaced."""
    step = {"step": "tests", "outcome": outcome, "exit": 124, "seconds": 3.0, "tail": ["so far"]}
    figures: dict[str, Any] = {"machine": {"device": "a"}, "roofs": {}}
    figures |= {"figures": [], "asked": [], "left_out": []}
    for name, found in {
        "what_is_missing": [],
        "build": [{**step, "step": "build", "outcome": "done"}],
        "run_tests": [step],
        "sanitize": [check.skipped("sanitizer", "compute-sanitizer is not on PATH")],
        "peers": [],
        "measure": (figures, []),
    }.items():
        monkeypatch.setattr(check, name, lambda *_, found=found: found)
    monkeypatch.setattr(check, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert check.main() == status
    written = json.loads((tmp_path / "gpu_check_a.json").read_text())
    assert written["verdict"] == {"exit": status, outcome: ["tests"], "skipped": ["sanitizer"]}
    assert [one["step"] for one in written["steps"]] == ["build", "tests", "sanitizer"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_sanitizer_without_examples_proves_nothing(steps: ModuleType) -> None:
    paths = f"{ROOT}/kernels:{ROOT}/tests/kernels"
    command = [sys.executable, "tests/kernels/sanitized.py", "--seconds", "1"]
    # An emulated device would have examples; compute-sanitizer sees only real ones.
    step = steps.run_step(
        "memcheck", command, 60, PYTHONPATH=paths, BUNRAKU_CUDA_EMULATED_MODULE=""
    )
    assert step["outcome"] == "nothing ran"
    assert "0 examples ran, nothing is proven: " in step["tail"][-1]
    assert steps.verdict([step]) == {"exit": 1, "nothing ran": ["memcheck"]}


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


def test_a_benchmark_without_time_names_what_it_left_out(tmp_path: Path) -> None:
    out = tmp_path / "frame"
    options = ("--device", "cpu", "--operator", "frame", "--budget", "0", "--out", str(out))
    done = benchmark(*options)
    assert done.returncode == 0, done.stderr[-1000:]
    result = json.loads(out.with_suffix(".json").read_text())
    assert result["figures"] == []
    assert all(name.startswith("frame: ") for name in result["left_out"])


def test_a_benchmark_of_nothing_writes_nothing(tmp_path: Path) -> None:
    options = ("--device", "cpu", "--operator", "upsample_conv", "--out", str(tmp_path / "none"))
    done = benchmark(*options)
    assert done.returncode == 2
    assert "nothing written" in done.stderr
    assert not list(tmp_path.iterdir())
