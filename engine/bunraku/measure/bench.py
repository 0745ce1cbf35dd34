"""How fast a model runs live: every block timed through the C ABI, against the core's own peak."""

from __future__ import annotations

import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.load import load_model_spec

if TYPE_CHECKING:
    from bunraku import _native

ROUNDS = 9
PEAK_RUNS_PER_ROUND = 3
MAX_BLOCK_FRAMES = 8192
MAX_SECONDS = 600.0


@dataclass(frozen=True)
class BenchReport:
    """`real_time_factor` is the median of `rounds` rounds: seconds of sound made in a second. The
    percentiles are over all blocks. `fraction_of_peak` is `gflops` over `peak_gflops`, the best
    rate of fused multiply-adds on registers seen between the rounds, same instruction set."""

    model: str
    block_frames: int
    isa: str
    fast_path: bool
    real_time_factor: float
    block_us: float
    """How long a block lasts: what each time below must stay under."""
    blocks: int
    late_blocks: int
    """Blocks that took longer than they last."""
    p50_us: float
    p99_us: float
    p99_9_us: float
    max_us: float
    gflops: float
    peak_gflops: float
    fraction_of_peak: float
    flop_per_frame: float
    rounds: int
    machine: str

    def as_dict(self) -> dict[str, str | int | float | bool]:
        return asdict(self)


def bench_file(
    path: str | Path, block_frames: int = 64, isa: str = "", seconds: float = 2.0
) -> BenchReport:
    """Measure the model in `path` (a `.nam` or `.bnk` file) for about `seconds`.

    Raises UserInputError (a number out of range, an unknown instruction set), ModelFormatError.
    """
    from bunraku import _native

    at_hand = _native.isa_list().split(",")
    if isa and isa not in at_hand:
        raise UserInputError(f"instruction set '{isa}' is not usable here: {', '.join(at_hand)}")
    spec = load_model_spec(path)
    return bench_model(
        _native.Model(write_flat(spec), isa=isa),
        Path(path).name,
        block_frames,
        seconds,
    )


def bench_model(
    model: _native.Model, name: str, block_frames: int = 64, seconds: float = 2.0
) -> BenchReport:
    """Measure a loaded model; see `bench_file`."""
    from bunraku import _native

    if not 1 <= block_frames <= MAX_BLOCK_FRAMES:
        raise UserInputError(
            f"block {block_frames} is outside 1 to {MAX_BLOCK_FRAMES} frames: try 64"
        )
    if not 0.0 < seconds <= MAX_SECONDS:
        raise UserInputError(f"{seconds} seconds is outside 0 to {MAX_SECONDS:g}: try 2")
    stream = _native.Stream(model, max_block_frames=block_frames)
    blocks = blocks_per_round(stream, block_frames, seconds / ROUNDS)
    signal = test_signal(blocks * block_frames)
    peak, rounds = 0.0, []
    for _ in range(ROUNDS):
        peak = max(
            [peak, *[_native.fma_peak_gflops(model.isa) for _ in range(PEAK_RUNS_PER_ROUND)]]
        )
        rounds.append(_native.time_blocks(stream.address, signal, block_frames))
    seconds_per_frame = statistics.median(
        float(r.sum()) * 1e-9 / (blocks * block_frames) for r in rounds
    )
    gflops = model.flop_per_frame / seconds_per_frame * 1e-9
    times_us = np.concatenate(rounds) * 1e-3
    p50, p99, p99_9 = np.percentile(times_us, [50.0, 99.0, 99.9])
    block_us = 1e6 * block_frames / model.sample_rate_hz
    return BenchReport(
        model=name,
        block_frames=block_frames,
        isa=model.isa,
        fast_path=model.fast_path,
        real_time_factor=1.0 / (seconds_per_frame * model.sample_rate_hz),
        block_us=block_us,
        blocks=len(times_us),
        late_blocks=int(np.count_nonzero(times_us > block_us)),
        p50_us=float(p50),
        p99_us=float(p99),
        p99_9_us=float(p99_9),
        max_us=float(times_us.max()),
        gflops=gflops,
        peak_gflops=peak,
        fraction_of_peak=gflops / peak,
        flop_per_frame=model.flop_per_frame,
        rounds=ROUNDS,
        machine=machine_name(),
    )


def blocks_per_round(stream: _native.Stream, block_frames: int, seconds: float) -> int:
    """How many blocks fill `seconds`, from a short trial that also warms the caches."""
    from bunraku import _native

    trial = _native.time_blocks(stream.address, test_signal(16 * block_frames), block_frames)
    block_seconds = max(float(np.median(trial)) * 1e-9, 1e-8)
    return int(np.clip(seconds / block_seconds, 16, 4_000_000 // block_frames + 16))


def test_signal(frames: int) -> npt.NDArray[np.float32]:
    """A mono tone in noise, the same each time."""
    noise = np.random.default_rng(1).normal(0.0, 0.1, frames)
    tone = 0.4 * np.sin(np.arange(frames) * (2.0 * np.pi * 220.0 / 48_000.0))
    signal: npt.NDArray[np.float32] = (tone + noise).astype(np.float32)
    return signal


def machine_name() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", "")
    if not name:
        return platform.processor() or platform.machine()
    return f"{name} (family {fields.get('cpu family')}, model {fields.get('model')})"
