"""Keeps a library's C++ greetings off the terminal: they go past Python, straight to standard
error, and no switch of theirs turns them off."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_redirecting = threading.Lock()
"""Standard error is the process's: two who did not end last in, first out would lose it."""


@contextmanager
def without_messages(known: Sequence[str]) -> Iterator[None]:
    """Lines that hold one of `known` are dropped; all others, of whatever thread, are written to
    standard error at the end. One thread at a time: others wait. Where standard error is closed
    nothing is held back."""
    with _redirecting:
        try:
            sys.stderr.flush()
            saved = os.dup(2)
        except (OSError, AttributeError, ValueError):
            yield
            return
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(saved, 2)
                os.close(saved)
                held.seek(0)
                for line in held:
                    if not any(text.encode() in line for text in known):
                        os.write(2, line)
