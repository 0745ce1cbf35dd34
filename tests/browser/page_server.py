"""`bunraku serve` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENGINE = Path(__file__).parent.parent.parent / "engine"


@contextmanager
def page_server(port: int, *arguments: str) -> Iterator[str]:
    """The page's address, once it can be opened; ended by SIGTERM."""
    command = [sys.executable, "-m", "bunraku.cli.main", "serve", "--port", str(port)]
    server = subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": str(ENGINE)},
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(10)
