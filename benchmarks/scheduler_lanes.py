"""One audio thread for all sessions against a thread for each: blocks missed and processor time.

    python benchmarks/scheduler_lanes.py [--seconds 4] [--rounds 5] [--sessions 1,4,10] [--busy]
                                         [--out FILE]

Each session is a paced device of its own (native, 256 frames at 48 kHz) whose blocks go through a
small effect in Python. `--busy`: beside a process that takes a core. Also: from submit to start of
a job on an idle video lane. The two ways take turns; medians over the rounds, and the worst.
Figures differ between machines; nothing here is asserted. The file keeps a busy run beside one that
is not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bunraku import __version__, _native
from bunraku.effects.audio.native_model import load_model
from bunraku.measure.bench import machine_name
from bunraku.scheduler.block_worker import BlockWorker
from bunraku.scheduler.clock import MonotonicClock
from bunraku.scheduler.cost_model import CostKey, CostModel
from bunraku.scheduler.executor import Executor
from bunraku.scheduler.job import Job, Lane, Outcome
from bunraku.scheduler.thread_priority import raise_thread

RATE_HZ, BLOCK_FRAMES = 48_000, 256
RESULTS = Path(__file__).parent / "results"


def effect(block: np.ndarray) -> np.ndarray:
    """What a light effect in Python does: a few passes of numpy, about 50 us."""
    for _ in range(8):
        block = np.tanh(block * np.float32(1.01))
    return block


class ThreadEach:
    """The way before: a thread for each bridge."""

    def __init__(self, bridge: _native.RingBridge, process: Callable[..., np.ndarray]) -> None:
        self._bridge, self._process = bridge, process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            taken = self._bridge.take(0.05)
            if taken is not None:
                self._bridge.put(taken[0], self._process(taken[1]))


@dataclass(frozen=True)
class Figures:
    missed_per_1000: float
    cores: float


def play(worker_kind: type, sessions: int, seconds: float) -> Figures:
    model = load_model("radio")
    parts = []
    for _ in range(sessions):
        stream = _native.Stream(model, sample_rate_hz=RATE_HZ, max_block_frames=BLOCK_FRAMES)
        bridge = _native.RingBridge(1, BLOCK_FRAMES, RATE_HZ)
        engine = _native.LiveEngine(
            stream,
            sample_rate_hz=RATE_HZ,
            input_channels=0,
            output_channels=1,
            bridge=bridge,
            source=np.zeros((RATE_HZ, 1), np.float32),
            loop_source=True,
        )
        parts.append(
            (bridge, _native.PacedDevice(engine, BLOCK_FRAMES, True), worker_kind(bridge, effect))
        )
    cpu_s = time.process_time()
    for _, device, worker in parts:
        worker.start()
        device.start()
    time.sleep(seconds)
    cpu_s = time.process_time() - cpu_s
    for _, device, worker in parts:
        device.stop()
        worker.stop()
    counted = [bridge.stats() for bridge, *_ in parts]
    missed, blocks = (sum(each[key] for each in counted) for key in ("missed", "blocks"))
    return Figures(1000 * missed / max(1, blocks), cpu_s / seconds)


def compare(sessions: int, rounds: int, seconds: float) -> list[dict[str, Any]]:
    found: dict[type, list[Figures]] = {ThreadEach: [], BlockWorker: []}
    for _ in range(rounds):
        for kind, figures in found.items():
            figures.append(play(kind, sessions, seconds))
    return [
        {
            "sessions": sessions,
            "worker": kind.__name__,
            "missed_per_1000": round(median(f.missed_per_1000 for f in figures), 2),
            "missed_per_1000_worst": round(max(f.missed_per_1000 for f in figures), 2),
            "percent_of_a_core": round(100 * median(f.cores for f in figures), 1),
        }
        for kind, figures in found.items()
    ]


def said(row: dict[str, Any]) -> str:
    return (
        f"{row['sessions']:3d} sessions  {row['worker']:11s}"
        f"  missed per 1000: median {row['missed_per_1000']:6.2f},"
        f" worst {row['missed_per_1000_worst']:7.2f}"
        f"  processor: {row['percent_of_a_core']:5.1f} % of a core"
    )


def submit_to_start(count: int = 500) -> dict[str, float]:
    executor = Executor(MonotonicClock(), CostModel())
    executor.start()
    outcomes: list[Outcome] = []
    for _ in range(count):
        due_ns = time.monotonic_ns() + 10**9
        key = CostKey("nothing")
        executor.submit(Job("idle", Lane.VIDEO, due_ns, key, lambda: None, on_done=outcomes.append))
        time.sleep(0.002)
    executor.stop()
    waits_us = np.array([outcome.started_ns - outcome.ready_ns for outcome in outcomes]) / 1e3
    p50, p99, most = np.percentile(waits_us, [50, 99, 100])
    return {"p50": round(p50), "p99": round(p99), "max": round(most)}


def priority_granted() -> bool:
    """Whether the lane's thread goes before ordinary programs here: asked from a thread that ends,
    so that this one stays ordinary."""
    answers: list[bool] = []
    asking = threading.Thread(
        target=lambda: answers.append(raise_thread(threading.get_native_id()))
    )
    asking.start()
    asking.join()
    return answers[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", default="1,4,10")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "scheduler_lanes.json")
    asked = parser.parse_args()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if asked.busy else None
    run: dict[str, Any] = {
        "bunraku": __version__,
        "machine": f"{machine_name()}, {os.cpu_count()} cores",
        "load_average_before": round(os.getloadavg()[0], 1),
        "real_time_priority_granted": priority_granted(),
        "seconds": asked.seconds,
        "rounds": asked.rounds,
    }
    try:
        run["submit_to_start_us"] = submit_to_start()
        print("submit to start, us:", run["submit_to_start_us"])
        run["lanes"] = []
        for sessions in map(int, asked.sessions.split(",")):
            rows = compare(sessions, asked.rounds, asked.seconds)
            print("\n".join(map(said, rows)), flush=True)
            run["lanes"] += rows
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    run["load_average_after"] = round(os.getloadavg()[0], 1)
    result = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    result["busy" if asked.busy else "calm"] = run
    asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
