"""Many voices of one WaveNet, a block of 64 frames at a time; asked for: done in half of the 1.333
ms that it lasts at 48 kHz.

`python benchmarks/kernels/wavenet_stream.py` counts the voices that this machine keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from bunraku_kernels.registry import operators
from bunraku_kernels.wavenet_stream import (
    ArrayPlan,
    LayerPlan,
    WaveNetPlan,
    open_streams,
    pack_weights,
    wavenet_stream,
)
from case import Case
from timing import Timing, time_run

FRAMES = 64
HALF_BLOCK_US = 1e6 * FRAMES / 48_000 / 2
MOST_VOICES = 8192
DOUBLINGS = tuple(2**i for i in range(10))
SHORT = (DOUBLINGS[:7], (*DOUBLINGS[7:], *DOUBLINGS))
A2_TAPS = (6,) * 14 + (15, 15) + (6,) * 7
A2_DILATIONS = (1, 3, 7, 17, 41, 101, 239) * 2 + (1, 13) + (1, 3, 7, 17, 41, 101, 239)


def a2(channels: int) -> WaveNetPlan:
    """NeuralAmpModeler's second generation."""
    layers = tuple(
        LayerPlan(k, d, "lrelu", 0.01) for k, d in zip(A2_TAPS, A2_DILATIONS, strict=True)
    )
    return WaveNetPlan((ArrayPlan(channels, layers, 1, 16, True),))


PLANS = {
    "a1_standard": WaveNetPlan.a1(16, 8, DOUBLINGS, DOUBLINGS),
    "a1_lite": WaveNetPlan.a1(12, 6, *SHORT),
    "a1_feather": WaveNetPlan.a1(8, 4, *SHORT),
    "a1_nano": WaveNetPlan.a1(4, 2, *SHORT),
    "a2_full": a2(8),
    "a2_lite": a2(3),
}


def cases() -> list[Case]:
    asked = {"at most us": HALF_BLOCK_US}
    on_gpu = [_case(name, 1000, ("cuda",), asked) for name in ("a1_standard", "a2_full")]
    on_gpu += [_case("a1_standard", batch, ("cuda",)) for batch in (1, 128)]
    return [*on_gpu, *(_case(name, 32, ("cpu",)) for name in PLANS)]


def _case(
    name: str, batch: int, devices: tuple[str, ...], asked: Mapping[str, float] | None = None
) -> Case:
    plan = PLANS[name]

    def make(device: torch.device) -> Mapping[str, Callable[[], object]]:
        runs = {impl: player(plan, batch, device, impl) for impl in ("cuda", "native")
                if impl in operators()["wavenet_stream"].availability().here
                and (impl == "cuda") == (device.type == "cuda")}  # fmt: skip
        return {**runs, "eager": player(plan, batch, device, "reference")}

    moved, flop = bytes_moved(plan, batch), batch * FRAMES * plan.flop_per_frame
    return Case(f"{name} {batch} x {FRAMES}", make, moved, flop, "fp32", asked or {}, devices)


def player(plan: WaveNetPlan, batch: int, device: torch.device, impl: str) -> Callable[[], object]:
    """Plays the next block of `batch` streams."""
    generator = torch.Generator().manual_seed(1)
    flat = 0.15 * torch.randn(plan.weight_count, generator=generator)
    streams = open_streams(pack_weights(plan, flat, device), batch, impl=impl)
    x = (0.3 * torch.randn(batch, FRAMES, generator=generator)).to(device)
    return lambda: wavenet_stream(x, streams, impl=impl)


def bytes_moved(plan: WaveNetPlan, batch: int) -> int:
    """The history that a block's taps reach, the block itself into the rings, input and output; the
    weights once."""
    floats = 2 * FRAMES
    for array in plan.arrays:
        convs = [(layer.kernel_size, layer.dilation) for layer in array.layers]
        for taps, dilation in (*convs, (array.head_kernel_size, 1)):
            lookback = (taps - 1) * dilation
            reached = lookback if dilation < FRAMES else (taps - 1) * FRAMES
            floats += array.channels * (reached + min(lookback, FRAMES))
    return 4 * (batch * floats + plan.weight_count)


def voices_kept(plan: WaveNetPlan, device: torch.device, impl: str) -> tuple[int, Timing]:
    """The most voices whose typical block takes half its time, and how long blocks of them took."""

    def timed(batch: int) -> Timing:
        return time_run(player(plan, batch, device, impl), device, 0.5)

    low, high = 1, 2
    while high <= MOST_VOICES and timed(high).p50_us <= HALF_BLOCK_US:
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        kept = timed(middle).p50_us <= HALF_BLOCK_US
        low, high = (middle, high) if kept else (low, middle)
    return low, timed(low)


def main() -> None:
    torch.set_num_threads(1)
    impl = "cuda" if torch.cuda.is_available() else "native"
    device = torch.device("cuda" if impl == "cuda" else "cpu")
    for name, plan in PLANS.items():
        kept, t = voices_kept(plan, device, impl)
        times = f"p50 {t.p50_us:.0f}, p99 {t.p99_us:.0f}, max {t.max_us:.0f} us"
        print(f"{name:12} {impl}: {kept} voices in half a block ({times})", flush=True)


if __name__ == "__main__":
    main()
