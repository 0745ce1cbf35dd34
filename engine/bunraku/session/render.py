"""The live chain offline: one file in, one file out, as fast as the machine goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.effects.audio.python_effect import AudioEffect, open_effect, run_effects
from bunraku.errors import MediaError, UserInputError
from bunraku.io.audio_files import (
    AudioFileWriter,
    Samples,
    check_writable,
    open_for_reading,
    read_blocks,
)
from bunraku.session.live_session import MOST_BLOCK_FRAMES, ModelLike

MOST_CHANNELS = 8
CHUNK_FRAMES = 1 << 14


@dataclass(frozen=True)
class RenderReport:
    """What a rendering did. Peaks are linear, full scale 1."""

    model: str
    isa: str
    sample_rate_hz: int
    channels: int
    frames: int
    seconds: float
    block_frames: int
    latency_frames: int
    took_seconds: float
    real_time_factor: float
    input_peak: float
    output_peak: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def render(
    source: str | Path,
    target: str | Path,
    model: ModelLike,
    *,
    block_frames: int = 512,
    size: float = 1.0,
    python_effects: Sequence[str] = (),
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Run `source` through `model` in blocks of `block_frames` and write `target`: the same number
    of frames, rate and channels, 32-bit float for WAV, the chain's latency taken out.

    on_progress: called with (frames done, frames in all).
    A rendering that fails or is interrupted leaves `target` as it was.
    Raises UserInputError, ModelFormatError or MediaError; each names the remedy.
    """
    if not 1 <= block_frames <= MOST_BLOCK_FRAMES:
        raise UserInputError(f"block_frames is {block_frames}: use 1 to {MOST_BLOCK_FRAMES}")
    loaded = load_model(model)
    check_writable(target, overwrite=overwrite)
    if Path(target).exists() and Path(target).samefile(source):
        raise UserInputError(f"{target} is the file to read; name another one to write")
    started = time.perf_counter()
    with open_for_reading(source) as file:
        rate, channels = int(file.samplerate), int(file.channels)
        if channels > MOST_CHANNELS:
            raise MediaError(f"{source}: {channels} channels; render takes at most {MOST_CHANNELS}")
        chain = OfflineChain(loaded, rate, channels, block_frames, size, python_effects)
        input_peak = output_peak = 0.0
        frames = 0
        with (
            whole_or_nothing(Path(target).resolve()) as part,
            AudioFileWriter(part, sample_rate_hz=rate, channels=channels, overwrite=True) as writer,
        ):
            for heard, played in chain.run(read_blocks(file, source, CHUNK_FRAMES)):
                input_peak = max(input_peak, peak_of(heard))
                output_peak = max(output_peak, peak_of(played))
                frames += len(heard)
                writer.write(played)
                if on_progress is not None:
                    on_progress(frames, int(file.frames))
    took = time.perf_counter() - started
    return RenderReport(
        model=loaded.name,
        isa=loaded.isa,
        sample_rate_hz=rate,
        channels=channels,
        frames=frames,
        seconds=frames / rate,
        block_frames=block_frames,
        latency_frames=chain.latency_frames,
        took_seconds=took,
        real_time_factor=frames / rate / took,
        input_peak=input_peak,
        output_peak=output_peak,
    )


@contextmanager
def whole_or_nothing(target: Path) -> Iterator[Path]:
    """A name beside `target` to write to. It becomes `target` when all went well, else it goes."""
    part = target.with_name(f".{target.stem}-{os.getpid()}{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class OfflineChain:
    """The stream that a live session would open, and the Python effects after it, in one thread."""

    def __init__(
        self,
        model: _native.Model,
        sample_rate_hz: int,
        channels: int,
        block_frames: int,
        size: float,
        python_effects: Sequence[str],
    ) -> None:
        self._channels = channels
        self._stream = _native.Stream(
            model,
            channels=channels,
            sample_rate_hz=float(sample_rate_hz),
            max_block_frames=block_frames,
            size=size,
        )
        self._effects: list[AudioEffect] = [
            open_effect(name, sample_rate_hz=sample_rate_hz, channels=channels)
            for name in python_effects
        ]
        self.latency_frames: int = self._stream.latency_frames + sum(
            effect.latency_frames for effect in self._effects
        )

    def process(self, samples: Samples) -> Samples:
        """`[frames, channels]` to the same shape, late by `latency_frames`."""
        block = self._stream.process(np.ascontiguousarray(samples.T))
        block = run_effects(self._effects, block)
        finite: Samples = np.nan_to_num(block.T, nan=0.0, posinf=0.0, neginf=0.0)
        return finite

    def run(self, blocks: Iterator[Samples]) -> Iterator[tuple[Samples, Samples]]:
        """(input, output) pieces; all outputs together are as long as all inputs, and aligned."""
        late = self.latency_frames  # frames of output still to be dropped
        for block in blocks:
            played = self.process(block)
            dropped = min(late, len(played))
            late -= dropped
            yield block, played[dropped:]
        owed = self.latency_frames - late
        silence = np.zeros((self.latency_frames, self._channels), np.float32)
        yield silence[:0], self.process(silence)[late : late + owed]


def peak_of(samples: Samples) -> float:
    """Of what is finite: the core takes the rest as silence."""
    return float(np.abs(samples).max(initial=0.0, where=np.isfinite(samples)))
