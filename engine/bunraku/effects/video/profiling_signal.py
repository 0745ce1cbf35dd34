"""Keeps a library's own profiler from ending the process.

MediaPipe's library brings Google's profile handler, which may start a timer whose signal, SIGPROF,
ends a process that has no handler for it (seen after some 290 s of processor time). It keeps away
from a process in which somebody has one.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from functools import cache


@cache
def survive_profiling_signal() -> None:
    """Give SIGPROF a handler that does nothing worth mentioning, unless it has one; any thread,
    before the library is loaded. Where there is no such signal (Windows), nothing."""
    number = getattr(signal, "SIGPROF", None)
    if number is None or signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN):
        return
    # `signal.signal` is for the main thread alone; this is for any, and needs a file to write to.
    faulthandler.register(number, file=_nowhere(), all_threads=False, chain=False)


@cache
def _nowhere() -> int:
    """Stays open as long as the process lives."""
    return os.open(os.devnull, os.O_WRONLY)
