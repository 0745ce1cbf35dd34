"""A speech WaveNet (R=64, S=256, A=256, 256 classes, 20 layers) on one core, against its roof.

    taskset -c 1 python benchmarks/kernels/wavenet_sample_cpu.py [--seconds 3] [--isa avx2]

Blocks of 128 samples of each stream, the clock around each call; the condition is new memory for
every block, as it is in use. "rt" is samples a second of all streams
over 16,000. For one stream the roof is the rate at which this core reads as many bytes as a sample
needs, again and again, measured between the blocks of the same run; "of roof" is the time that
reading takes over the time of a sample. The peer is the reference: the loop in eager PyTorch on one
thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bunraku_kernels.backends import native_module
from bunraku_kernels.wavenet_sample import WaveNetState, WaveNetWeights, native_kernel, reference
from bunraku_kernels.wavenet_sample.examples import random_network
from bunraku_kernels.wavenet_sample.native_kernel import PackedNetwork
from timing import machine

RESULTS = Path(__file__).parent.parent / "results"
RATE_HZ = 16_000
BLOCK = 128
BATCHES = (1, 4, 16, 64)
PEER_FRAMES = 24
CONDITION_BLOCKS = 24
"""Blocks of condition in memory, taken in turn: too many for the caches to keep."""
ROUNDS = 5


def network() -> WaveNetWeights:
    return random_network("categorical", 64, 256, 256, 256, tuple(2**i for i in range(10)) * 2)


def conditions(weights: WaveNetWeights, batch: int, frames: int) -> list[torch.Tensor]:
    shape = (batch, frames, weights.layers, 2 * weights.residual_channels)
    return [0.1 * torch.randn(shape) for _ in range(max(2, CONDITION_BLOCKS // batch))]


def timed(run: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call."""
    spent: list[float] = []
    while sum(spent) < seconds or len(spent) < 3:
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return spent


def measure(
    packed: PackedNetwork, weights: WaveNetWeights, batch: int, seconds: float
) -> tuple[list[float], list[float]]:
    """Seconds of each block, and the core's GB/s over a sample's bytes between rounds of blocks."""
    state = WaveNetState.initial(weights, batch)
    turns = conditions(weights, batch, BLOCK)
    calls = iter(range(10**9))

    def block() -> None:
        condition = turns[next(calls) % len(turns)]
        native_kernel.sample(packed, condition, state, 1.0, 1)

    block()
    spent, bandwidth = [], []
    for _ in range(ROUNDS):
        spent += timed(block, seconds / ROUNDS)
        probe = native_module().read_bandwidth(round(packed.bytes_per_frame), packed.isa)
        bandwidth.append(probe)
    return spent, bandwidth


def peer_us(weights: WaveNetWeights, batch: int, seconds: float) -> float:
    """Microseconds of a sample of all streams in eager PyTorch: the median call."""
    state = WaveNetState.initial(weights, batch)
    condition = conditions(weights, batch, PEER_FRAMES)[0]
    with torch.inference_mode():
        spent = timed(lambda: reference.sample(weights, condition, state, 1.0, 1), seconds)
    return float(1e6 * np.median(spent) / PEER_FRAMES)


def rows(isas: list[str], seconds: float) -> Iterator[dict[str, Any]]:
    weights = network()
    peers = {batch: peer_us(weights, batch, seconds) for batch in BATCHES}
    for isa in isas:
        for weight_type in native_kernel.WEIGHT_TYPES:
            packed = native_kernel.prepare(weights, weight_type, isa)
            for batch in BATCHES:
                spent, bandwidth = measure(packed, weights, batch, seconds)
                p50, p99 = np.percentile(spent, [50, 99])
                sample_us = 1e6 * p50 / BLOCK
                row = {
                    "isa": isa,
                    "weight_type": weight_type,
                    "streams": batch,
                    "samples_per_s": batch * BLOCK / p50,
                    "real_time_factor": batch * BLOCK / p50 / RATE_HZ,
                    "block_p50_us": 1e6 * p50,
                    "block_p99_us": 1e6 * p99,
                    "blocks": len(spent),
                    "torch_us": peers[batch],
                    "over_torch": peers[batch] / sample_us,
                }
                if batch == 1:
                    roof_us = packed.bytes_per_frame / max(bandwidth) * 1e-3
                    row |= {
                        "bytes_per_sample": packed.bytes_per_frame,
                        "read_gigabytes_per_s": max(bandwidth),
                        "of_roof": roof_us / sample_us,
                    }
                yield row


def line(row: dict[str, Any]) -> str:
    roof = ""
    if "of_roof" in row:
        megabytes, rate = row["bytes_per_sample"] / 1e6, row["read_gigabytes_per_s"]
        roof = f"{megabytes:.2f} MB at {rate:.0f} GB/s: {row['of_roof']:.0%} of roof"
    return (f"{row['isa']:10} {row['weight_type']} {row['streams']:3} streams "
            f"{row['samples_per_s']:9.0f}/s  rt {row['real_time_factor']:5.2f}  block p50 "
            f"{row['block_p50_us']:8.0f} p99 {row['block_p99_us']:8.0f} us  "
            f"torch x {row['over_torch']:5.1f}  {roof}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--isa", action="append", help="default: all usable here")
    parser.add_argument("--out", type=Path, default=RESULTS / "wavenet_sample_cpu.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = []
    for row in rows(arguments.isa or native_kernel.isas(), arguments.seconds):
        found.append(row)
        print(line(row), flush=True)
    result = {"machine": machine(torch.device("cpu")), "figures": found}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
