"""MediaPipe's profiler may signal the process: that must not end it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).parent.parent / "engine"
SIGNALLED = """
import os, signal, threading, time
from bunraku.effects.video.profiling_signal import survive_profiling_signal
thread = threading.Thread(target=survive_profiling_signal)
thread.start()
thread.join()
for _ in range(3):
    os.kill(os.getpid(), signal.SIGPROF)
    time.sleep(0.01)
print("alive")
"""
OWN = """
import os, signal
seen = []
signal.signal(signal.SIGPROF, lambda *_: seen.append(1))
from bunraku.effects.video.profiling_signal import survive_profiling_signal
survive_profiling_signal()
os.kill(os.getpid(), signal.SIGPROF)
print("seen", len(seen))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="this system has no SIGPROF")
@pytest.mark.parametrize(("code", "says"), [(SIGNALLED, "alive"), (OWN, "seen 1")])
def test_the_signal_ends_nobody_and_takes_nobody_s_handler(code: str, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ENGINE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, says), done.stderr
