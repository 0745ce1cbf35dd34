"""The benchmarks' own arithmetic, where a figure could say what it is not."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_quantiles_of_intervals_are_named_so() -> None:
    """A second's worst hundredth is not found in medians of fifths of it."""
    round_trips = benchmark("browser_latency").round_trips
    calm = {"p50": 30.0, "p95": 32.0, "p99": 33.0}
    rough = {"p50": 30.0, "p95": 90.0, "p99": 120.0}
    assert round_trips([calm] * 39 + [rough]) == {
        "intervals": 40,
        "median_of_p50": 30.0,
        "median_of_p95": 32.0,
        "p95_of_p99": 33.0,
        "greatest_p99": 120.0,
    }
    assert round_trips([]) == {}
    told = (FOLDER.parent / "engine/bunraku/serving/page/audio_worklet.js").read_text()
    for name in calm:
        assert f"{name}: at(0.{name[1:].rstrip('0')})" in told


def test_sessions_that_are_to_leave_nothing_have_something_to_leave() -> None:
    pytest.importorskip("pydantic")
    leak = benchmark("sessions_leak")
    for effect in leak.EFFECTS:
        assert [one.type for one in leak.preset_of("one", effect).picture.effect] == [effect]
    assert {"neural", "face_overlay"} <= set(leak.EFFECTS)


def test_the_lanes_leave_a_file_for_each_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = benchmark("scheduler_lanes")
    monkeypatch.setattr(lanes, "submit_to_start", lambda: {"p50": 1.0})
    for load in ([], ["--busy"]):
        out = tmp_path / "lanes.json"
        asked = ["--seconds", "0.1", "--rounds", "1", "--sessions", "1", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["scheduler_lanes.py", *asked, *load])
        lanes.main()
    result = json.loads(out.read_text())
    assert set(result) == {"calm", "busy"}
    assert [row["worker"] for row in result["busy"]["lanes"]] == ["ThreadEach", "BlockWorker"]
    assert result["busy"]["seconds"] == 0.1
