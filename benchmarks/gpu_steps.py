"""Steps of `make gpu-check`: each is a process with a time limit, and has an outcome.

done                  it ended in time and well
failed                a value, a gradient, an access to memory or the process itself was wrong
nothing ran           it ended in time and well, and proved nothing: counts as failed
cut by the deadline   its time was over; what it found until then is kept and counts
skipped               not possible here; the reason is its last line
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOGS = ROOT / "build" / "gpu" / "logs"
DONE, FAILED, NOTHING_RAN = "done", "failed", "nothing ran"
CUT, SKIPPED = "cut by the deadline", "skipped"
BAD = (FAILED, NOTHING_RAN)
CUT_CODE, NOTHING_RAN_CODE = 124, 5  # of pytest and tests/kernels/sanitized.py
GRACE_S = 5.0  # for a step that is cut to say what it found


def run_step(name: str, command: list[str], seconds: float, **environment: str) -> dict[str, Any]:
    """Run in the repository's root, output to build/gpu/logs; a step that is late is ended with all
    the processes it started, so that nothing disturbs the measurements after it."""
    print(f"· {name}", flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{slug(name)}.log"
    start = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code, outcome = _wait(process, max(seconds, 1))
    tail = log.read_text(errors="replace").strip().splitlines()[-25:]
    if outcome != DONE:
        print("\n".join(f"    {line}" for line in tail))
    took = time.monotonic() - start
    said = f"{outcome} ({code})" if outcome == FAILED else outcome
    print(f"  {name}: {said} in {took:.0f} s", flush=True)
    return {
        "step": name, "outcome": outcome, "exit": code, "seconds": round(took, 1), "tail": tail,
        "log": log.name,
    }  # fmt: skip


def _wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[int, str]:
    try:
        code = process.wait(seconds)
        return code, {0: DONE, NOTHING_RAN_CODE: NOTHING_RAN}.get(code, FAILED)
    except subprocess.TimeoutExpired:
        pass
    os.killpg(process.pid, signal.SIGINT)  # on which pytest says what has failed so far
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):  # all of them are gone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return CUT_CODE, CUT


def skipped(name: str, reason: str) -> dict[str, Any]:
    return {"step": name, "outcome": SKIPPED, "exit": None, "seconds": 0.0, "tail": [reason]}


def judge_tests(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step of pytest by what it counted: a failure stays one when the deadline cut the rest, and
    without a single passed test no value was proven."""
    found = counts(step["tail"])
    if not found:  # it hung and was killed: only its letters are left
        found = letters((LOGS / step["log"]).read_text(errors="replace").splitlines())
    outcome = step["outcome"]
    if found.get("failed") or found.get("error"):
        outcome = FAILED
    elif outcome in (DONE, CUT) and not found.get("passed"):
        outcome = NOTHING_RAN
    return {**step, "outcome": outcome, "counts": found, "cut": step["outcome"] == CUT}


def counts(tail: list[str]) -> dict[str, int]:
    """Of pytest's last line: {"passed": 12, "skipped": 3}."""
    last = next((line for line in reversed(tail) if re.search(r" in \d+\.\d+s", line)), "")
    kinds = r"(\d+) (passed|failed|skipped|deselected|errors?|warnings?)"
    return {kind.rstrip("s"): int(count) for count, kind in re.findall(kinds, last)}


def letters(lines: Iterable[str]) -> dict[str, int]:
    """Of the lines of letters that `pytest -q` writes while it runs."""
    progress = "".join(m[1] for line in lines if (m := re.match(r"([.FEsxX]+)( +\[.*)?$", line)))
    kinds = {"passed": ".", "failed": "F", "error": "E", "skipped": "s"}
    return {kind: progress.count(letter) for kind, letter in kinds.items() if letter in progress}


def verdict(steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the whole check comes to: `exit` is 1 where something is wrong; what the deadline cut or
    this machine lacks is named and changes nothing."""
    by_outcome: dict[str, list[str]] = {}
    for step in steps:
        by_outcome.setdefault(step["outcome"], []).append(step["step"])
        if step.get("cut") and step["outcome"] != CUT:  # what it found counts for more
            by_outcome.setdefault(CUT, []).append(step["step"])
    bad = any(by_outcome.get(outcome) for outcome in BAD)
    return {"exit": int(bad), **{k: v for k, v in by_outcome.items() if k != DONE}}


def table(steps: Iterable[Mapping[str, Any]]) -> str:
    """The steps as a table of Markdown."""
    lines = ["| step | outcome | s | |", "|---|---|---|---|"]
    for step in steps:
        note = ", ".join(f"{count} {kind}" for kind, count in step.get("counts", {}).items())
        if not note and step["outcome"] != DONE and step["tail"]:
            note = step["tail"][-1].replace("|", "\\|")[:200]
        outcome = step["outcome"]
        if step.get("cut") and outcome != CUT:
            outcome = f"{outcome}, {CUT}"
        lines.append(f"| {step['step']} | {outcome} | {step['seconds']:.0f} | {note} |")
    return "\n".join(lines) + "\n"


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
