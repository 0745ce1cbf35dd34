"""Which source or sink is wanted: small values that are checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from bunraku.errors import UserInputError

LEAST_SIDE, MOST_SIDE = 16, 8192
LEAST_RATE_HZ, MOST_RATE_HZ = 1.0, 240.0

Size = tuple[int, int]


def check_size(size: Size) -> None:
    """Raises UserInputError unless (width, height) are pixels within the range."""
    if len(size) != 2 or not all(LEAST_SIDE <= side <= MOST_SIDE for side in size):
        raise UserInputError(
            f"size is {size}: give (width, height) of {LEAST_SIDE} to {MOST_SIDE} pixels,"
            " such as (640, 480)"
        )


def check_rate(rate_hz: float) -> None:
    """Raises UserInputError unless the frame rate is within the range."""
    if not (math.isfinite(rate_hz) and LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ):
        raise UserInputError(
            f"rate_hz is {rate_hz}: give {LEAST_RATE_HZ:g} to {MOST_RATE_HZ:g} frames a second"
        )


@dataclass(frozen=True)
class CameraSpec:
    """device: a number, a device's path, or a part of its name (names are known on Linux).
    format: the four letters of a pixel format the camera has, such as "MJPG"; its own if None.
    A camera takes size and rate as wishes; the opened source tells what it gives."""

    device: int | str = 0
    size: Size = (640, 480)
    rate_hz: float = 30.0
    format: str | None = None

    def __post_init__(self) -> None:
        check_size(self.size)
        check_rate(self.rate_hz)
        if self.format is not None and not (len(self.format) == 4 and self.format.isascii()):
            raise UserInputError(
                f"format is '{self.format}': give the four letters of a pixel format, such as MJPG"
            )


@dataclass(frozen=True)
class FileSpec:
    """path: any container that FFmpeg reads, or the URL of a stream. real_time: pace frames by
    their times; else as fast as they are taken."""

    path: str | Path
    loop: bool = False
    real_time: bool = True


@dataclass(frozen=True)
class PatternSpec:
    """A moving pattern with a time code. flash_every_s: a white flash of 100 ms each so many
    seconds after the start; None: never."""

    size: Size = (640, 480)
    rate_hz: float = 30.0
    flash_every_s: float | None = None

    def __post_init__(self) -> None:
        check_size(self.size)
        check_rate(self.rate_hz)
        if self.flash_every_s is not None and not 0.2 <= self.flash_every_s <= 3600.0:
            raise UserInputError(
                f"flash_every_s is {self.flash_every_s}: give 0.2 to 3600 seconds, or None"
            )


@dataclass(frozen=True)
class PortraitSpec:
    """A still picture under a camera that slowly pans and zooms."""

    path: str | Path
    size: Size = (640, 480)
    rate_hz: float = 30.0

    def __post_init__(self) -> None:
        check_size(self.size)
        check_rate(self.rate_hz)


@dataclass(frozen=True)
class RecordingSpec:
    """A file with H.264 pictures and, where `sample_rate_hz` is given, AAC sound.

    crf: constant quality, 0 (lossless) to 51; bitrate: bits a second instead. rate_hz: the nominal
    frame rate; frames keep their own times.
    """

    path: str | Path
    rate_hz: float = 30.0
    crf: int = 21
    bitrate: int | None = None
    preset: str = "ultrafast"
    sample_rate_hz: int | None = None
    channels: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_rate(self.rate_hz)
        if not 0 <= self.crf <= 51:
            raise UserInputError(f"crf is {self.crf}: give 0 (lossless) to 51 (smallest)")
        if self.bitrate is not None and not 10_000 <= self.bitrate <= 200_000_000:
            raise UserInputError(
                f"bitrate is {self.bitrate}: give 10,000 to 200,000,000 bits a second"
            )
        if self.preset not in PRESETS:
            raise UserInputError(f"preset is '{self.preset}': choose of {', '.join(PRESETS)}")
        if self.sample_rate_hz is not None and self.sample_rate_hz not in AAC_RATES_HZ:
            raise UserInputError(
                f"sample_rate_hz is {self.sample_rate_hz}: AAC takes"
                f" {', '.join(str(rate) for rate in AAC_RATES_HZ)}"
            )
        if not 1 <= self.channels <= 2:
            raise UserInputError(f"channels is {self.channels}: record 1 or 2")


PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")
AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


@dataclass(frozen=True)
class WindowSpec:
    title: str = "bunraku"


@dataclass(frozen=True)
class VirtualCameraSpec:
    """size, rate_hz: what other programs see; frames of another size are scaled. device: a path
    such as /dev/video4; the first free one if None."""

    size: Size = (640, 480)
    rate_hz: float = 30.0
    device: str | None = None

    def __post_init__(self) -> None:
        check_size(self.size)
        check_rate(self.rate_hz)


SourceSpec = CameraSpec | FileSpec | PatternSpec | PortraitSpec
SinkSpec = RecordingSpec | WindowSpec | VirtualCameraSpec
