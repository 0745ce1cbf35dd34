"""A dry and a wet recording of one performance: read, checked, resampled, aligned, split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bunraku.errors import MediaError, MissingDependencyError, UserInputError
from bunraku.training.effect_alignment import Alignment, align, measure_alignment

Audio = NDArray[np.float32]

MODEL_RATE = 48_000
"""Hz. Recordings at another rate are resampled: other players of `.nam` files assume this rate."""
RATE_RANGE = (8_000, 384_000)
SECONDS_MIN = 10.0
SECONDS_MAX = 3_600.0
LENGTH_TOLERANCE_SECONDS = 0.5
SILENCE_PEAK = 10 ** (-60 / 20)
CLIP_LEVEL = 0.9999
CLIP_RUN_FRAMES = 3
CLIP_RUNS_MAX = 10


@dataclass(frozen=True)
class Recording:
    """One file: mono float32 samples and what the file said."""

    samples: Audio
    rate: int
    path: Path


@dataclass(frozen=True)
class EffectData:
    """Aligned training and validation signals at `MODEL_RATE`, float32, equally long."""

    train_dry: Audio
    train_wet: Audio
    validation_dry: Audio
    validation_wet: Audio
    alignment: Alignment
    source_rate: int


def read_recording(path: Path) -> Recording:
    """Read one mono file. Raises MediaError (unreadable) or UserInputError (unusable)."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingDependencyError(
            "reading audio needs 'soundfile': pip install 'bunraku[cli]'"
        ) from error
    if not path.is_file():
        raise MediaError(f"{path}: no such file")
    try:
        with soundfile.SoundFile(path) as file:
            rate, frames = file.samplerate, file.frames
            if not RATE_RANGE[0] <= rate <= RATE_RANGE[1]:
                raise UserInputError(
                    f"{path}: {rate} Hz is outside {RATE_RANGE[0]} to {RATE_RANGE[1]}"
                )
            if frames > SECONDS_MAX * rate:
                raise UserInputError(
                    f"{path}: {frames / rate:.0f} s is longer than {SECONDS_MAX:.0f} s: cut it"
                )
            samples = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"{path}: not a readable audio file ({error})") from error
    if samples.shape[1] > 1 and np.any(samples != samples[:, :1]):
        raise UserInputError(
            f"{path}: {samples.shape[1]} different channels; an effect is learnt from mono: "
            "export one channel"
        )
    recording = Recording(np.ascontiguousarray(samples[:, 0]), int(rate), path)
    check_recording(recording)
    return recording


def check_recording(recording: Recording) -> None:
    """Refuse what cannot teach anything: not finite, too short, silent, clipped."""
    x, path = recording.samples, recording.path
    if not np.isfinite(x).all():
        raise UserInputError(f"{path}: holds values that are not finite; export it again")
    seconds = len(x) / recording.rate
    if seconds < SECONDS_MIN:
        raise UserInputError(
            f"{path}: {seconds:.1f} s is too short: give at least {SECONDS_MIN:.0f} s, better 180"
        )
    peak = float(np.abs(x).max())
    if peak < SILENCE_PEAK:
        raise UserInputError(
            f"{path}: silent (peak {20 * np.log10(max(peak, 1e-9)):.0f} dBFS, at least -60 is "
            "needed): record louder"
        )
    runs = clipped_runs(x)
    if runs > CLIP_RUNS_MAX:
        raise UserInputError(f"{path}: clipped at full scale in {runs} places: record lower")


def clipped_runs(x: Audio) -> int:
    """How often at least three neighbouring samples lie at full scale with one sign."""
    full = np.where(np.abs(x) >= CLIP_LEVEL, np.sign(x), 0.0)
    run = full[: len(full) - CLIP_RUN_FRAMES + 1] != 0
    for k in range(1, CLIP_RUN_FRAMES):
        run &= full[k : len(full) - CLIP_RUN_FRAMES + 1 + k] == full[: len(run)]
    return int(np.count_nonzero(run[1:] & ~run[:-1]) + (bool(run[0]) if len(run) else 0))


def load_pair(dry_path: Path, wet_path: Path, validation_seconds: float) -> EffectData:
    """Both files, checked against each other, resampled, aligned; the end is kept for validation.

    Raises UserInputError when they differ in rate or length, or are not one performance.
    """
    dry, wet = read_recording(dry_path), read_recording(wet_path)
    if dry.rate != wet.rate:
        raise UserInputError(
            f"dry has {dry.rate} Hz and wet {wet.rate} Hz: export both at one rate"
        )
    difference = abs(len(dry.samples) - len(wet.samples)) / dry.rate
    if difference > LENGTH_TOLERANCE_SECONDS:
        raise UserInputError(
            f"dry and wet differ in length by {difference:.2f} s (at most "
            f"{LENGTH_TOLERANCE_SECONDS}): export both from the same start to the same end"
        )
    frames = min(len(dry.samples), len(wet.samples))
    x, y = (to_model_rate(r.samples[:frames], r.rate) for r in (dry, wet))
    alignment = measure_alignment(x, y, MODEL_RATE)
    x, y = align(x, y, alignment.delay_frames)
    held = round(validation_seconds * MODEL_RATE)
    if held > len(x) // 2:
        raise UserInputError(
            f"{validation_seconds:g} s of validation is more than half of "
            f"{len(x) / MODEL_RATE:.1f} s: give less, or longer recordings"
        )
    split = len(x) - held
    return EffectData(x[:split], y[:split], x[split:], y[split:], alignment, dry.rate)


def to_model_rate(x: Audio, rate: int) -> Audio:
    """`x` at `MODEL_RATE`, by soxr's very high quality; unchanged if it is there already."""
    if rate == MODEL_RATE:
        return x
    import soxr

    return np.asarray(soxr.resample(x, rate, MODEL_RATE, "VHQ"), dtype=np.float32)
