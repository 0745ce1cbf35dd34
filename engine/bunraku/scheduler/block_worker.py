"""The thread that runs tasks written in Python for the audio thread, block by block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.float32]

TAKE_TIMEOUT_S = 0.05


class Bridge(Protocol):
    """The worker's end of `_native.RingBridge`."""

    def take(self, timeout_s: float) -> tuple[int, Block] | None: ...
    def put(self, sequence: int, block: Block) -> bool: ...


class BlockWorker:
    """Takes each block from `bridge`, runs `process` on it, puts the result back.

    `process` maps float32 `[channels, frames]` to the same shape. If it raises, or returns another
    shape, the worker ends, `error` holds the exception, and the bridge conceals from then on.
    """

    def __init__(self, bridge: Bridge, process: Callable[[Block], Block]) -> None:
        self._bridge = bridge
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bunraku-worker", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Ask the thread to end and wait; False if its task is still busy after the timeout."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                taken = self._bridge.take(TAKE_TIMEOUT_S)
                if taken is not None:
                    sequence, block = taken
                    self._bridge.put(sequence, self._process(block))
        except Exception as error:  # whatever the task raises belongs to who waits for it
            self.error = error
