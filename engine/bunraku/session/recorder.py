"""The thread that carries what was played from the engine's ring to a file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from bunraku.io.audio_files import AudioFileWriter, Samples

CHUNK_FRAMES = 8192
PAUSE_S = 0.02

TakeOutput = Callable[[int, Samples], None]
"""(number of the first frame, output `[frames, channels]`), from the recorder's thread. Frames that
were lost are left out; the numbers go on behind them."""


class Capture(Protocol):
    """What the recorder reads: `_native.LiveEngine` has these."""

    @property
    def channels(self) -> int: ...
    def read_capture(self, most_frames: int) -> tuple[int, Samples]: ...


class Recorder:
    """Writes the engine's output to `path` (if any), keeps the first `keep_seconds` of input and
    output in memory for a picture, and hands the output to `take_output`. The engine's ring counts
    what does not fit; nothing blocks. File and memory are silent where frames were lost, so that
    what follows stands where it was played."""

    def __init__(
        self,
        engine: Capture,
        *,
        path: Path | None,
        sample_rate_hz: int,
        overwrite: bool,
        keep_seconds: float,
        take_output: TakeOutput | None = None,
    ) -> None:
        self._engine = engine
        self._take_output = take_output
        self._next_frame = 0
        self._channels = engine.channels
        self._writer = None
        if path is not None:
            self._writer = AudioFileWriter(
                path, sample_rate_hz=sample_rate_hz, channels=self._channels, overwrite=overwrite
            )
        self._keep_frames = int(keep_seconds * sample_rate_hz)
        self._kept: list[Samples] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bunraku-recorder", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and close the file. Idempotent."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._writer is not None:
            self._writer.close()

    def kept(self) -> tuple[Samples, Samples]:
        """Input and output, each `[frames, channels]`, frame by frame as they were played."""
        both = np.concatenate(self._kept) if self._kept else np.zeros((0, 2 * self._channels))
        both = both.astype(np.float32, copy=False)
        return both[:, : self._channels], both[:, self._channels :]

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self._drain() == 0:
                    self._stop.wait(PAUSE_S)
            while self._drain() > 0:
                pass
        except Exception as error:  # a full disk: the performance goes on, the session reports it
            self.error = error

    def _drain(self) -> int:
        first_frame, frames = self._engine.read_capture(CHUNK_FRAMES)
        if len(frames) > 0:
            if self._take_output is not None:
                self._take_output(first_frame, frames[:, self._channels :])
            self._fill_to(first_frame)
            self._keep(frames)
        return len(frames)

    def _fill_to(self, frame: int) -> None:
        """Silence for what was lost."""
        while self._next_frame < frame:
            missing = min(frame - self._next_frame, CHUNK_FRAMES)
            self._keep(np.zeros((missing, 2 * self._channels), np.float32))

    def _keep(self, frames: Samples) -> None:
        self._next_frame += len(frames)
        if self._writer is not None:
            self._writer.write(frames[:, self._channels :])
        if self._keep_frames > 0:
            self._kept.append(frames[: self._keep_frames].copy())
            self._keep_frames -= len(self._kept[-1])
