"""Downloads one wheel from the package index that the user's pip knows, without installing it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 600.0
POLL_S = 0.25


def download_wheel(requirement: str, folder: Path, tell: Callable[[int], None]) -> Path:
    """The wheel's path below `folder`; `tell` gets the bytes so far.

    Only wheels, no dependencies: none of its code is run. Raises OSError with pip's last word.
    """
    kept, scratch = folder / "kept", folder / "scratch"
    kept.mkdir()
    scratch.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", requirement, "--dest", str(kept),
        "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--timeout", "10",
        "--retries", "1", "--quiet", "--disable-pip-version-check", "--no-input",
    ]  # fmt: skip
    # pip downloads into its temporary folder, which is how the bytes so far can be seen.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    with (folder / "pip.log").open("wb") as log:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            _wait(pip, folder, tell)
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    wheels = sorted(kept.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise OSError(_last_word((folder / "pip.log").read_text(errors="replace")))
    return wheels[0]


def _wait(pip: subprocess.Popen[bytes], folder: Path, tell: Callable[[int], None]) -> None:
    end = time.monotonic() + DEADLINE_S
    while pip.poll() is None:
        tell(_size_bytes(folder))
        if time.monotonic() > end:
            raise TimeoutError(f"pip took over {DEADLINE_S:.0f} s")
        time.sleep(POLL_S)


def _size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip moves and deletes while we look
            continue
    return total


def _last_word(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip gave no wheel"])[-1]
