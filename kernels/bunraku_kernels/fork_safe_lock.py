"""A lock that a forked child finds open, whoever held it in the parent: a DataLoader's workers fork
while another thread may be measuring, and would wait for a thread that they do not have."""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """`with lock:`, also from within."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
