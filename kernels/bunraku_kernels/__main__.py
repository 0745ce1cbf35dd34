"""`python -m bunraku_kernels [--json]`: which implementations work here, and why others do not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping

from bunraku_kernels.backends import BACKENDS
from bunraku_kernels.registry import Availability, available


def table(status: Mapping[str, Availability]) -> str:
    """A row an operator, a column a backend; below it the reasons, each once."""
    width = max(len(name) for name in status)
    lines = [" " * width + "".join(f"  {backend:>10}" for backend in BACKENDS)]
    reasons: dict[str, None] = {}
    for name, one in status.items():
        marks = (_mark(one, backend) for backend in BACKENDS)
        lines.append(f"{name:{width}}" + "".join(f"  {mark:>10}" for mark in marks))
        reasons |= dict.fromkeys(f"{backend}: {why}" for backend, why in one.absent.items())
    return "\n".join([*lines, *reasons])


def _mark(one: Availability, backend: str) -> str:
    if backend in one.simulated:
        return "simulated"
    return "yes" if backend in one.here else "no" if backend in one.absent else "-"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bunraku_kernels", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for programs")
    as_json = parser.parse_args().json
    try:
        print(_for_programs(available()) if as_json else table(available()), flush=True)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit


def _for_programs(status: Mapping[str, Availability]) -> str:
    found = {name: {"here": one.here, "absent": one.absent} for name, one in status.items()}
    return json.dumps(found, indent=1)


if __name__ == "__main__":
    main()
