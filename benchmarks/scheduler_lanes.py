"""One audio thread for all sessions against a thread for each: blocks missed and processor time.

python benchmarks/scheduler_lanes.py [--seconds 4] [--rounds 5] [--sessions 1,4,10] [--busy]

Each session is a paced device of its own (native, 256 frames at 48 kHz) whose blocks go through a
small effect in Python. `--busy`: beside a process that takes a core. Also: from submit to start of
a job on an idle video lane. The two ways take turns; medians over the rounds, and the worst.
Figures differ between machines; nothing here is asserted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.scheduler.block_worker import BlockWorker
from bunraku.scheduler.clock import MonotonicClock
from bunraku.scheduler.cost_model import CostKey, CostModel
from bunraku.scheduler.executor import Executor
from bunraku.scheduler.job import Job, Lane, Outcome

RATE_HZ, BLOCK_FRAMES = 48_000, 256


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


def compare(sessions: int, rounds: int, seconds: float) -> str:
    found: dict[type, list[Figures]] = {ThreadEach: [], BlockWorker: []}
    for _ in range(rounds):
        for kind, figures in found.items():
            figures.append(play(kind, sessions, seconds))
    return "\n".join(
        f"{sessions:3d} sessions  {kind.__name__:11s}"
        f"  missed per 1000: median {median(f.missed_per_1000 for f in figures):6.2f},"
        f" worst {max(f.missed_per_1000 for f in figures):7.2f}"
        f"  processor: {100 * median(f.cores for f in figures):5.1f} % of a core"
        for kind, figures in found.items()
    )


def submit_to_start(count: int = 500) -> str:
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
    p50, p99 = np.percentile(waits_us, [50, 99])
    return f"submit to start: p50 {p50:.0f} us, p99 {p99:.0f} us, max {waits_us.max():.0f} us"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", default="1,4,10")
    parser.add_argument("--busy", action="store_true")
    asked = parser.parse_args()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if asked.busy else None
    try:
        print(submit_to_start())
        for sessions in map(int, asked.sessions.split(",")):
            print(compare(sessions, asked.rounds, asked.seconds), flush=True)
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()


if __name__ == "__main__":
    main()
