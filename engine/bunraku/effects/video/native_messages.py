"""Keeps a library's C++ greetings off the terminal: they go past Python, straight to standard
error, and no switch of theirs turns them off."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def without_messages(known: Sequence[str]) -> Iterator[None]:
    """Lines that hold one of `known` are dropped; all others, of whatever thread, are written to
    standard error at the end. Where standard error is closed nothing is held back."""
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
