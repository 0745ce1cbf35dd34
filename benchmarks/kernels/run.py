"""Every operator against its floor and against plain PyTorch.

    python benchmarks/kernels/run.py [--operator NAME] [--device cpu|cuda] [--seconds 0.5]

Prints a line for each implementation of each case as it comes; writes a JSON file and a table to
benchmarks/results/kernels_<device>.{json,md}. On the CPU one thread is used. See
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from case import Case
from timing import Timing, machine, roofs, time_run

RESULTS = Path(__file__).parent.parent / "results"
PEERS = ("eager", "torch.compile")


def offering_cases() -> dict[str, Path]:
    """The files beside this one that define `cases()`; other scripts need more packages."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return {f.stem: f for f in files if "\ndef cases(" in f.read_text(encoding="utf-8")}


def all_cases(wanted: list[str] | None = None) -> Iterator[tuple[str, Case]]:
    """(operator, case), the cases for which something is asked first."""
    found = [
        (name, case)
        for name in offering_cases()
        if not wanted or name in wanted
        for case in importlib.import_module(name).cases()
    ]
    yield from sorted(found, key=lambda pair: not pair[1].asked)


def floor_us(case: Case, roof: Mapping[str, float]) -> float:
    """No version runs faster: the bytes at the speed of a copy, or the operations at the rate of
    the unit that does them, whichever takes longer."""
    return 1e6 * max(case.bytes_moved / roof["copy"], case.flop / roof[case.unit])


def measure(
    operator: str, case: Case, device: torch.device, roof: Mapping[str, float], seconds: float
) -> Iterator[dict[str, Any]]:
    """A row for each implementation and peer; one that fails has its error instead of figures."""
    torch.compiler.reset()  # else the peer torch.compile meets its limit of recompilations
    head: dict[str, Any] = {"operator": operator, "case": case.name}
    try:
        runs = case.make(device)
    except Exception as error:
        yield {**head, "impl": "none", "error": in_one_line(error)}
        return
    for name, run in runs.items():
        row: dict[str, Any] = {**head, "impl": name}
        try:
            timing = time_run(run, device, seconds)
        except Exception as error:  # a peer may lack memory or support: the others go on
            yield {**row, "error": in_one_line(error)}
            continue
        yield {**row, **figures(case, timing, roof)}


def in_one_line(error: Exception) -> str:
    return (f"{type(error).__name__}: {error}".splitlines() or [""])[0][:200]


def figures(case: Case, timing: Timing, roof: Mapping[str, float]) -> dict[str, Any]:
    seconds = timing.p50_us * 1e-6
    return {
        "p50_us": round(timing.p50_us, 2),
        "p99_us": round(timing.p99_us, 2),
        "p999_us": round(timing.p999_us, 2),
        "max_us": round(timing.max_us, 2),
        "runs": timing.runs,
        "bytes": case.bytes_moved,
        "flop": case.flop,
        "gigabytes_per_s": round(case.bytes_moved / seconds / 1e9, 2),
        "gigaflop_per_s": round(case.flop / seconds / 1e9, 2),
        "of_copy_bandwidth": round(case.bytes_moved / seconds / roof["copy"], 4),
        "of_matrix_rate": round(case.flop / seconds / roof[case.unit], 4),
        "of_floor": round(floor_us(case, roof) / timing.p50_us, 4),
    }


def judge(case: Case, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Measured against asked, for the fastest of our implementations."""
    good = {row["impl"]: row for row in rows if "error" not in row}
    ours = [row for name, row in good.items() if name in ("cuda", "triton", "native")]
    if not ours:
        return
    best = min(ours, key=lambda row: row["p50_us"])
    for asked, wanted in case.asked.items():
        if asked.startswith("over "):
            peer = good.get(asked.removeprefix("over "))
            measured = peer["p50_us"] / best["p50_us"] if peer else None
        else:
            key = {"of copy bandwidth": "of_copy_bandwidth", "at most us": "p50_us"}[asked]
            measured = best[key]
        reached = measured is not None and (
            measured <= wanted if asked == "at most us" else measured >= wanted
        )
        yield {
            "case": case.name, "impl": best["impl"], "what": asked, "asked": wanted,
            "measured": None if measured is None else round(measured, 3), "reached": reached,
        }  # fmt: skip


def table(result: Mapping[str, Any]) -> str:
    """The result as a page of Markdown."""
    lines = ["# Kernels on " + result["machine"]["device"], ""]
    lines += [f"{key}: {value}" for key, value in result["machine"].items() if key != "device"]
    if roof := result["roofs"]:  # none where the deadline came before the first case
        lines += ["", f"Roofs measured in the same run: copy {roof['copy'] / 1e9:.0f} GB/s, fp32 "
                  f"{roof['fp32'] / 1e12:.2f} TFLOP/s, "
                  f"half {roof['half'] / 1e12:.2f} TFLOP/s."]  # fmt: skip
    lines += [
        "",
        "| operator | case | impl | p50 us | p99 us | p99.9 us | GB/s | GFLOP/s | of floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["figures"]:
        head = f"| {row['operator']} | {row['case']} | {row['impl']} |"
        if "error" in row:
            lines.append(f"{head} {row['error']} | | | | | |")
        else:
            lines.append(
                f"{head} {row['p50_us']:.1f} | {row['p99_us']:.1f} | {row['p999_us']:.1f} | "
                f"{row['gigabytes_per_s']:.0f} | {row['gigaflop_per_s']:.0f} | "
                f"{row['of_floor']:.0%} |"
            )
    lines += ["", "| asked | case | asked for | measured | |", "|---|---|---|---|---|"]
    for row in result["asked"]:
        verdict = "reached" if row["reached"] else "SHORT"
        figures = f"{row['asked']} | {row['measured']} | {verdict}"
        lines.append(f"| {row['what']} | {row['case']} ({row['impl']}) | {figures} |")
    if result["left_out"]:
        lines += ["", f"Left out for want of time: {'; '.join(result['left_out'])}."]
    return "\n".join(lines) + "\n"


def run_all(
    device: torch.device, operators: list[str] | None, seconds: float, until: float, out: Path
) -> dict[str, Any]:
    """Everything that fits before the time `until`; what does not is named in "left_out". Written
    after each case: on a GPU a fault of one kernel ends the process."""
    roof = roofs(device)
    result: dict[str, Any] = {
        "machine": dict(machine(device)), "roofs": dict(roof), "figures": [], "asked": [],
        "left_out": [],
    }  # fmt: skip
    for operator, case in all_cases(operators):
        if device.type not in case.devices:
            continue
        if time.monotonic() > until:
            result["left_out"].append(f"{operator}: {case.name}")
            continue
        rows = []
        for row in measure(operator, case, device, roof, seconds):
            rows.append(row)
            shown = (
                row.get("error") or f"p50 {row['p50_us']:10.1f} us, {row['of_floor']:.0%} of floor"
            )
            print(f"{operator:14} {case.name:38} {row['impl']:14} {shown}", flush=True)
        result["figures"] += rows
        result["asked"] += list(judge(case, rows))
        write(result, out)
        if not recovered(device):
            until = -float("inf")
    if result["figures"] or result["left_out"]:
        write(result, out)
    return result


def recovered(device: torch.device) -> bool:
    """Whether more can be measured in this process: after an illegal access nothing can."""
    if device.type == "cuda":
        try:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        except Exception as error:
            print(f"the GPU takes no more calls: {in_one_line(error)}", file=sys.stderr)
            return False
    return True


def write(result: Mapping[str, Any], out: Path, foot: str = "") -> None:
    """`foot`: Markdown below the figures."""
    out.parent.mkdir(parents=True, exist_ok=True)
    _replace(out.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    _replace(out.with_suffix(".md"), table(result) + (f"\n{foot}" if foot else ""))


def _replace(path: Path, text: str) -> None:
    """At once: a process that is ended while it writes leaves the text before."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--operator", action="append", choices=sorted(offering_cases()), help="default: all"
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="for each figure")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds for everything")
    parser.add_argument("--out", type=Path, help="without ending; default benchmarks/results/…")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU here: these cases were not run on a GPU; try --device cpu", file=sys.stderr)
        return 2
    if device.type == "cpu":
        torch.set_num_threads(1)
    part = "_".join(["", *arguments.operator]) if arguments.operator else ""
    out = arguments.out or RESULTS / f"kernels_{device.type}{part}"
    until = time.monotonic() + arguments.budget
    result = run_all(device, arguments.operator, arguments.seconds, until, out)
    if not result["figures"] and not result["left_out"]:
        print(
            f"no case for {device.type} among {arguments.operator}: nothing written",
            file=sys.stderr,
        )
        return 2
    print(f"written: {out.with_suffix('.json')} and .md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
