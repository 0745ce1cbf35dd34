"""Audio files in any format and rate that soundfile knows; conversion of rate by soxr.

Samples are float32 `[frames, channels]`, as files and devices hold them, full scale at 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.errors import MediaError, MissingDependencyError, UserInputError

Samples = npt.NDArray[np.float32]

SUBTYPES = {".wav": "FLOAT", ".rf64": "FLOAT", ".w64": "FLOAT", ".caf": "FLOAT", ".flac": "PCM_24"}
FORMATS = {".rf64": "RF64"}
MOST_CHANNELS = 64


@dataclass(frozen=True)
class AudioClip:
    """A whole recording: float32 `[frames, channels]` and its rate."""

    samples: Samples
    sample_rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate_hz


def soundfile_module() -> ModuleType:
    """soundfile, imported on first use. Raises MissingDependencyError with the remedy."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"audio files need the package 'soundfile' ({error}): pip install 'bunraku[cli]'"
        ) from error
    module: ModuleType = soundfile
    return module


def open_for_reading(path: str | Path) -> Any:
    """A `soundfile.SoundFile`. Raises MediaError naming what is wrong with the file."""
    soundfile = soundfile_module()
    path = Path(path)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise MediaError(f"{path}: {problem}; name an audio file (WAV, FLAC, OGG, MP3, ...)")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError, OSError) as error:
        raise MediaError(
            f"{path}: not an audio file that libsndfile reads ({reason_of(error)});"
            " convert it to WAV or FLAC"
        ) from error
    if not 1 <= file.channels <= MOST_CHANNELS or not 1000 <= file.samplerate <= 768_000:
        file.close()
        raise MediaError(
            f"{path}: {file.channels} channels at {file.samplerate} Hz;"
            f" use 1 to {MOST_CHANNELS} channels at 1,000 to 768,000 Hz"
        )
    return file


def read_blocks(file: Any, path: str | Path, block_frames: int) -> Iterator[Samples]:
    """The rest of an open file in blocks of at most `block_frames`; the last may be shorter."""
    soundfile = soundfile_module()
    while True:
        try:
            block: Samples = file.read(block_frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise MediaError(
                f"{path}: damaged after {file.tell()} frames ({reason_of(error)}); copy it again"
            ) from error
        if len(block) == 0:
            return
        yield block


def read_audio(
    path: str | Path, *, sample_rate_hz: int | None = None, most_seconds: float = 3600.0
) -> AudioClip:
    """Read a whole file, at its own rate or converted to `sample_rate_hz`.

    Raises MediaError when it cannot be read, is empty, or lasts longer than `most_seconds`.
    """
    with open_for_reading(path) as file:
        rate = int(file.samplerate)
        if file.frames > most_seconds * rate:
            raise MediaError(
                f"{path}: {file.frames / rate:,.0f} s long, and this keeps at most"
                f" {most_seconds:,.0f} s in memory; cut it, or use 'bunraku render'"
            )
        blocks = []
        left = int(most_seconds * rate)  # a header can lie about the length
        for block in read_blocks(file, path, 1 << 16):
            blocks.append(block[:left])
            left -= len(blocks[-1])
            if left <= 0:
                break
    if not blocks:
        raise MediaError(f"{path}: holds no sound; name a recording of at least one frame")
    clip = AudioClip(np.concatenate(blocks), rate)
    return clip if sample_rate_hz in (None, rate) else resampled(clip, int(sample_rate_hz or rate))


def resampled(clip: AudioClip, sample_rate_hz: int) -> AudioClip:
    """The clip at another rate, by soxr's best quality; same length in time."""
    if clip.sample_rate_hz == sample_rate_hz:
        return clip
    try:
        import soxr
    except ImportError as error:
        raise MissingDependencyError(
            "another sample rate needs the package 'soxr': pip install 'bunraku[cli]'"
        ) from error
    samples = soxr.resample(clip.samples, clip.sample_rate_hz, sample_rate_hz, quality="VHQ")
    return AudioClip(np.ascontiguousarray(samples, dtype=np.float32), sample_rate_hz)


def with_channels(samples: Samples, channels: int) -> Samples:
    """`[frames, any]` to `[frames, channels]`: mono is the mean; else channels repeat in turn."""
    have = samples.shape[1]
    if have == channels:
        return samples
    if channels == 1:
        mean: Samples = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return mean
    return np.ascontiguousarray(samples[:, np.arange(channels) % have])


def check_writable(path: str | Path, *, overwrite: bool) -> Path:
    """The path, if a new file may be made there. Raises UserInputError that names the remedy."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise UserInputError(
            f"{path} exists and is not overwritten; choose another name or remove it"
        )
    if not path.parent.is_dir():
        raise UserInputError(f"{path}: the folder {path.parent} does not exist; make it first")
    known = {f".{name.lower()}" for name in soundfile_module().available_formats()} | {".aif"}
    if path.suffix.lower() not in known:
        raise UserInputError(
            f"{path}: the ending '{path.suffix}' names no audio format; use .wav or .flac"
        )
    return path


class AudioFileWriter:
    """Writes float32 `[frames, channels]`: WAV, RF64, W64 and CAF in 32-bit float, FLAC in 24 bits,
    other formats as libsndfile does by default. The format follows the ending of the name.

    Raises UserInputError for a path that cannot be, MediaError when writing fails.
    """

    def __init__(
        self, path: str | Path, *, sample_rate_hz: int, channels: int, overwrite: bool = False
    ) -> None:
        self.path = check_writable(path, overwrite=overwrite)
        self._soundfile = soundfile_module()
        suffix = self.path.suffix.lower()
        try:
            self._file = self._soundfile.SoundFile(
                self.path,
                "w",
                samplerate=int(sample_rate_hz),
                channels=channels,
                subtype=SUBTYPES.get(suffix),
                format=FORMATS.get(suffix),
            )
        except (self._soundfile.LibsndfileError, ValueError, TypeError) as error:
            raise MediaError(
                f"{self.path}: cannot be written with {channels} channels at {sample_rate_hz} Hz"
                f" ({reason_of(error)}); use a .wav name in a folder you may write to"
            ) from error
        self.frames = 0

    def write(self, samples: Samples) -> None:
        """Append float32 `[frames, channels]`."""
        try:
            self._file.write(samples)
        except self._soundfile.LibsndfileError as error:
            raise MediaError(
                f"{self.path}: writing failed after {self.frames:,} frames ({reason_of(error)});"
                " is the disk full?"
            ) from error
        self.frames += len(samples)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> AudioFileWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def reason_of(error: Exception) -> str:
    """libsndfile's own words without the file name that it puts before them."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
