"""One command that proves and measures the kernels on a machine with an NVIDIA GPU.

    make gpu-check            or    python benchmarks/gpu_check.py [--minutes 8]

Builds for the GPU at hand, runs every kernel test on it, compute-sanitizer on small sizes where it
is installed, then the benchmarks against eager PyTorch, torch.compile, cuDNN and peers at hand;
writes benchmarks/results/gpu_check_<device>.{json,md}. It needs nvcc, cmake, ninja and a Python
with CUDA torch, triton, pybind11, pytest and scipy; no network, no virtual environment.
It ends with 1 if a step failed or proved nothing. What the deadline cut is named in the results and
in the last line, beside all that was found, and is no failure (gpu_steps.py says what counts).
Without a GPU it changes nothing, says so and ends with 2.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gpu_steps
from gpu_steps import run_step, skipped, slug

ROOT = Path(__file__).parent.parent
KERNELS = ROOT / "kernels" / "bunraku_kernels"
BUILD = ROOT / "build" / "gpu"
RESULTS = ROOT / "benchmarks" / "results"
NEEDED_TOOLS = ("nvcc", "cmake", "ninja")
NEEDED_PACKAGES = ("torch", "triton", "pybind11", "pytest", "scipy", "numpy")
# Shares of the whole time; what a step leaves over goes to the benchmarks.
SHARES = {"build": 0.25, "tests": 0.35, "sanitizer": 0.12}


def what_is_missing() -> list[str]:
    missing = [f"{tool} on PATH" for tool in NEEDED_TOOLS if shutil.which(tool) is None]
    missing += [f"the package {p}" for p in NEEDED_PACKAGES if importlib.util.find_spec(p) is None]
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append("Python.h (python3-dev)")
    if importlib.util.find_spec("torch") is not None:
        import torch

        if not torch.cuda.is_available():
            missing.insert(0, "an NVIDIA GPU that torch sees")
    return missing


def paths(*folders: str) -> dict[str, str]:
    """An environment in which Python finds these folders of ours before what it finds already."""
    found = [*(str(ROOT / folder) for folder in folders), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, found))}


def build(seconds: float) -> list[dict[str, Any]]:
    import pybind11

    configure = [
        "cmake", "-S", str(ROOT), "-B", str(BUILD), "-G", "Ninja", "-DBUNRAKU_CUDA=ON",
        "-DCMAKE_CUDA_ARCHITECTURES=native", f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
    ]  # fmt: skip
    steps = [run_step("configure", configure, seconds)]
    targets = ["--target", "kernels_native", "kernels_cuda"]
    steps.append(run_step("build", ["cmake", "--build", str(BUILD), *targets], seconds))
    for module in (BUILD / "bunraku_kernels").glob("_*.so"):
        shutil.copy2(module, KERNELS / module.name)
    # A module that does not load is skipped by every test: nothing would be proven.
    load = "from bunraku_kernels import backends; raise SystemExit(backends.why_not('cuda'))"
    return [*steps, run_step("load", [sys.executable, "-c", load], 60, **paths("kernels"))]


def operators() -> list[str]:
    return sorted(path.parent.name for path in KERNELS.glob("*/op.py"))


def test_plan() -> dict[str, list[str]]:
    """What pytest is given, by name: each operator's own files with its examples in the shared
    ones, and the files that no operator owns."""
    shared = ["tests/kernels/test_operators.py", "tests/kernels/test_on_gpu.py"]
    left = {str(p.relative_to(ROOT)) for p in ROOT.glob("tests/kernels/test_*.py")} - {*shared}
    plan: dict[str, list[str]] = {}
    for name in operators():
        own = sorted(file for file in left if file.startswith(f"tests/kernels/test_{name}"))
        # Examples are named [operator-...]: a bare name would take those that speak of frames.
        plan[name] = [*shared, *own, "-k", " or ".join(["[" + name + "-", *map(_base, own)])]
        left -= set(own)
    return plan | {"all together": sorted(left)}


def _base(file: str) -> str:
    return Path(file).name


def run_tests(until: float) -> list[dict[str, Any]]:
    """A process for each operator, several at once: what one kernel breaks (an illegal access makes
    every later call of its process fail) leaves the others' results standing."""
    at_once = min(6, os.cpu_count() or 1)
    threads = str(max((os.cpu_count() or 1) // at_once, 1))

    def step(name: str, selected: list[str]) -> dict[str, Any]:
        command = [
            sys.executable, "-m", "pytest", *selected, "-q", "--maxfail=20",
            "-p", "no:cacheprovider", "-m", "not cpu_only",
        ]  # fmt: skip
        left = until - time.monotonic()
        done = run_step(f"tests of {name}", command, left, OMP_NUM_THREADS=threads)
        return gpu_steps.judge_tests(done)

    plan = test_plan()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        return list(pool.map(step, plan, plan.values()))


def sanitize(seconds: float) -> list[dict[str, Any]]:
    """Half of the time for each tool; what the first leaves over is the second's."""
    if shutil.which("compute-sanitizer") is None:
        return [skipped("sanitizer", "compute-sanitizer is not on PATH")]
    until, steps = time.monotonic() + seconds, []
    environment = {**paths("kernels", "tests/kernels"), "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    for place, tool in enumerate(("memcheck", "racecheck")):
        share = (until - time.monotonic()) / (2 - place)
        # Its own budget ends the probe, which is no failure; the step's limit is for one that hangs
        # and leaves room for the import of torch, which the budget does not count.
        probe = ["tests/kernels/sanitized.py", "--seconds", str(round(share * 0.5))]
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "3", sys.executable]
        steps.append(run_step(tool, [*command, *probe], share * 1.5, **environment))
    return steps


def measure(until: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A process for each operator, one after the other, each with its share of the time left."""
    whole: dict[str, Any] = {
        "machine": {}, "roofs": {}, "roofs_by_operator": {}, "figures": [], "asked": [],
        "left_out": [],
    }  # fmt: skip
    steps = []
    names = benchmarked()
    for place, name in enumerate(names):
        share = max((until - time.monotonic()) / (len(names) - place), 10)
        out = BUILD / "figures" / name
        command = [
            sys.executable, "benchmarks/kernels/run.py", "--device", "cuda", "--operator", name,
            "--seconds", "0.25", "--budget", str(round(share * 0.8)), "--out", str(out),
        ]  # fmt: skip
        out.with_suffix(".json").unlink(missing_ok=True)
        step = run_step(f"figures of {name}", command, share, **paths("kernels"))
        if out.with_suffix(".json").exists():  # also of a run that broke off: written case by case
            part = json.loads(out.with_suffix(".json").read_text())
            merge(whole, part, name)
            step["cut"] = bool(part["left_out"])
        steps.append(step)
    return whole, steps


def merge(whole: dict[str, Any], part: dict[str, Any], operator: str) -> None:
    """Shares of a floor are of the roofs that the operator's own process measured."""
    whole["machine"] = whole["machine"] or part["machine"]
    whole["roofs"] = whole["roofs"] or part["roofs"]
    whole["roofs_by_operator"][operator] = part["roofs"]
    for key in ("figures", "asked", "left_out"):
        whole[key] += part[key]


def benchmarked() -> list[str]:
    files = sorted((ROOT / "benchmarks" / "kernels").glob("*.py"))
    return [f.stem for f in files if "\ndef cases(" in f.read_text(encoding="utf-8")]


def peers() -> list[dict[str, Any]]:
    """nv-wavenet's own benchmark in each of its modes, where NV_WAVENET_PERF names its binary
    (built with nvcc -arch=sm_90 -std=c++17 --use_fast_math -maxrregcount 128)."""
    binary = os.environ.get("NV_WAVENET_PERF", "")
    if not binary:
        return [{"peer": "nv-wavenet", "error": "not built here: NV_WAVENET_PERF is unset"}]
    size = ["-l", "20", "-d", "512", "-r", "64", "-s", "256", "-a", "256", "-n", "16384"]
    found = []
    for mode, name in ((1, "single block"), (2, "dual block"), (3, "persistent")):
        step = run_step(f"nv-wavenet, {name}", [binary, *size, "-b", "1", "-m", str(mode)], 20)
        rates = re.findall(r"([\d.]+)\s*kHz", "\n".join(step["tail"]))
        kilohertz = [float(rate) for rate in rates]
        peer = {"peer": f"nv-wavenet, {name}, fp16, one stream", "kilohertz": kilohertz}
        found.append(peer if kilohertz else {**peer, "error": step["outcome"]})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    minutes = parser.parse_args().minutes
    missing = what_is_missing()
    if missing:
        print(f"gpu-check needs {', '.join(missing)}: not run on a GPU", file=sys.stderr)
        return 2
    whole, start = 60 * minutes, time.monotonic()
    steps = build(whole * SHARES["build"])
    if any(step["outcome"] != gpu_steps.DONE for step in steps):
        outcomes = {step["step"]: step["outcome"] for step in steps}
        print(f"nothing could be run: {json.dumps(outcomes)}", file=sys.stderr)
        return 1
    steps += run_tests(time.monotonic() + whole * SHARES["tests"])
    steps += sanitize(whole * SHARES["sanitizer"])
    others = peers()
    result, measured = measure(start + whole * 0.97)
    result["peers"] = others
    return report(result, [*steps, *measured], time.monotonic() - start)


def report(result: dict[str, Any], steps: list[dict[str, Any]], seconds: float) -> int:
    """Write what was found, also where no benchmark gave a figure; the exit status."""
    sys.path[:0] = [str(ROOT / "benchmarks" / "kernels")]
    import run

    if not result["machine"]:
        import timing
        import torch

        result["machine"] = dict(timing.machine(torch.device("cuda")))
    verdict = gpu_steps.verdict(steps)
    result |= {"verdict": verdict, "steps": steps}
    out = RESULTS / f"gpu_check_{slug(result['machine']['device'])}"
    run.write(result, out, gpu_steps.table(steps))
    print(json.dumps({"verdict": verdict, "seconds": round(seconds), "written": f"{out}.json"}))
    return int(verdict["exit"])


if __name__ == "__main__":
    sys.exit(main())
