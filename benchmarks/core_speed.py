"""How fast the core plays each network, at every block size and instruction set, against targets.

    python benchmarks/core_speed.py [--seconds 0.6] [--model standard] [--isa avx512] [--out FILE]

Every block is timed through the C ABI; nothing is downloaded. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bunraku import __version__, _native
from bunraku.formats.flat import write_flat
from bunraku.measure.bench import BenchReport, bench_model
from shapes import SHAPES, model_spec

RESULTS = Path(__file__).parent / "results"
BLOCKS = (16, 64, 128, 512)


@dataclass(frozen=True)
class Target:
    """A floor for `model` at `isa`, for blocks of 64 frames."""

    model: str
    isa: str
    fraction_of_peak: float


TARGETS = (
    Target("standard", "avx512", 0.70),
    Target("a2_full", "avx512", 0.70),
    Target("lite", "avx512", 0.55),
    Target("feather", "avx512", 0.55),
    Target("nano", "avx512", 0.35),
    Target("standard", "avx2", 0.60),
)
SMALL_BLOCK_SHARE = 0.8  # of block 64's factor, for standard at block 16


def measure(names: list[str], isas: list[str], seconds: float) -> list[BenchReport]:
    """One report for each model, instruction set and block size, printed as they come."""
    reports = []
    print(f"{'model':10} {'isa':9} {'block':>5} {'factor':>8} {'p50 us':>9} {'p99 us':>9} "
          f"{'GFLOP/s':>8} {'of peak':>8}")  # fmt: skip
    for name in names:
        flat = write_flat(model_spec(name))
        for isa in isas:
            model = _native.Model(flat, isa=isa)
            for block in BLOCKS:
                report = bench_model(model, name, block, seconds)
                reports.append(report)
                print(f"{name:10} {isa:9} {block:5} {report.real_time_factor:8.1f} "
                      f"{report.p50_us:9.2f} {report.p99_us:9.2f} {report.gflops:8.1f} "
                      f"{report.fraction_of_peak:8.1%}", flush=True)  # fmt: skip
    return reports


def judge(reports: list[BenchReport]) -> list[dict[str, str | float | bool]]:
    """Measured against asked, for each target that was measured."""
    by_key = {(r.model, r.isa, r.block_frames): r for r in reports}
    rows: list[dict[str, str | float | bool]] = []
    for target in TARGETS:
        if report := by_key.get((target.model, target.isa, 64)):
            what = f"{target.model} {target.isa} block 64, fraction of peak"
            rows.append(row(what, report.fraction_of_peak, target.fraction_of_peak))
    for isa in sorted({r.isa for r in reports}):
        small, usual = by_key.get(("standard", isa, 16)), by_key.get(("standard", isa, 64))
        if small and usual and isa == "avx512":
            share = small.real_time_factor / usual.real_time_factor
            rows.append(row(f"standard {isa} block 16 / block 64", share, SMALL_BLOCK_SHARE))
    return rows


def row(what: str, measured: float, asked: float) -> dict[str, str | float | bool]:
    return {"what": what, "measured": measured, "asked": asked, "reached": measured >= asked}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", action="append", choices=list(SHAPES), help="default: all")
    parser.add_argument("--isa", action="append", help="default: all usable here")
    parser.add_argument("--seconds", type=float, default=0.6, help="for each figure")
    parser.add_argument("--out", type=Path, default=RESULTS / "core_speed.json")
    arguments = parser.parse_args()
    isas = arguments.isa or _native.isa_list().split(",")
    reports = measure(arguments.model or list(SHAPES), isas, arguments.seconds)
    rows = judge(reports)
    for line in rows:
        verdict = "reached" if line["reached"] else "SHORT"
        print(f"{line['what']:46} {line['measured']:.3f}  asked {line['asked']:.2f}  {verdict}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "bunraku": __version__,
        "machine": reports[0].machine,
        "targets": rows,
        "figures": [report.as_dict() for report in reports],
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
