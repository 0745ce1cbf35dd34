"""Clocks and roofs: how long a run takes on its device, and what the device can do at most."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

Run = Callable[[], object]
WARM_UP_S = 0.1
MOST_RUNS = 2000
FLUSH_BYTES = 256 << 20  # over any level-2 cache


@dataclass(frozen=True)
class Timing:
    """Microseconds of one run; quantiles over `runs` of them."""

    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    runs: int

    @classmethod
    def of(cls, microseconds: list[float]) -> Timing:
        ordered = sorted(microseconds)

        def at(quantile: float) -> float:
            return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)]

        return cls(at(0.5), at(0.99), at(0.999), ordered[-1], len(ordered))


def time_run(run: Run, device: torch.device, seconds: float) -> Timing:
    """Runs until `seconds` are spent; what compiles or allocates at first is not counted."""
    clock = _time_on_gpu if device.type == "cuda" else _time_on_cpu
    until = time.perf_counter() + min(WARM_UP_S, seconds)
    while True:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()  # else a thousand slow launches would queue up here
        if time.perf_counter() > until:
            return Timing.of(clock(run, seconds))


def _time_on_cpu(run: Run, seconds: float) -> list[float]:
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < until and len(times) < MOST_RUNS):
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / 1e3)
    return times


def _time_on_gpu(run: Run, seconds: float) -> list[float]:
    """Device time between events. Before each run a large buffer is cleared: it empties the caches,
    and while it is under way (about 80 us) the host gets ahead. Gaps between launches of a run that
    keeps the host busy for longer are part of its figure, as they are of a user's."""
    flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device="cuda")
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < until and len(times) < MOST_RUNS):
        fast = bool(times) and times[-1] * 1e-6 < seconds / 20
        pairs = [_events() for _ in range(10 if fast else 1)]
        for begin, end in pairs:
            flush.zero_()
            begin.record()
            run()
            end.record()
        torch.cuda.synchronize()
        times += [1e3 * begin.elapsed_time(end) for begin, end in pairs]
    return times


def _events() -> tuple[torch.cuda.Event, torch.cuda.Event]:
    return torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)


def roofs(device: torch.device) -> Mapping[str, float]:
    """What this device reaches now: "copy" bytes/s (read plus written), "fp32" and "half" FLOP/s of
    large matrix products (fp32 without tf32)."""
    on_gpu = device.type == "cuda"
    found = {"copy": _copy_rate(device, (1 << 28) if on_gpu else (1 << 25))}
    found["fp32"] = _matrix_rate(device, torch.float32, 4096 if on_gpu else 768)
    found["half"] = _matrix_rate(device, torch.bfloat16, 8192 if on_gpu else 768)
    return found


def _copy_rate(device: torch.device, count: int) -> float:
    source = torch.randn(count, device=device)
    sink = torch.empty_like(source)
    microseconds = time_run(lambda: sink.copy_(source), device, 0.3).p50_us
    return 8 * count / (microseconds * 1e-6)


def _matrix_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    microseconds = time_run(lambda: a @ b, device, 0.3).p50_us
    return 2.0 * size**3 / (microseconds * 1e-6)


def machine(device: torch.device) -> Mapping[str, str]:
    """What the figures were measured on."""
    described = {
        "device": _cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": _version_of("triton"),
    }
    if device.type == "cuda":
        p = torch.cuda.get_device_properties(device)
        described["device"] = (
            f"{p.name}, {p.multi_processor_count} multiprocessors, sm_{p.major}{p.minor}"
        )
        described["cuda"] = str(torch.version.cuda)
        described["driver"] = _first_line(
            "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"
        )
        described["nvcc"] = _last_line("nvcc", "--version")
    return described


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    model = f"family {named.get('cpu family', '?')}, model {named.get('model', '?')}"
    return f"{named.get('model name', platform.machine())} ({model}), one thread"


def _version_of(package: str) -> str:
    try:
        return str(__import__(package).__version__)
    except ImportError:
        return "none"


def _output(*command: str) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ["none"]
    return done.stdout.strip().splitlines() or ["none"]


def _first_line(*command: str) -> str:
    return _output(*command)[0]


def _last_line(*command: str) -> str:
    return _output(*command)[-1]
