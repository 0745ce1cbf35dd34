"""Where a session's sound comes from and goes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bunraku.io.audio_files import AudioClip


@dataclass(frozen=True)
class DeviceEndpoint:
    """A sound device by a fragment of its name or by its number; the system's default for None."""

    name: str | int | None = None


@dataclass(frozen=True)
class FileEndpoint:
    """An audio file as a source, once or again and again."""

    path: Path
    loop: bool = False


@dataclass(frozen=True, eq=False)
class ClipEndpoint:
    """Sound in memory as a source, such as that of a video file; played at its own rate."""

    clip: AudioClip
    loop: bool = False


Source = DeviceEndpoint | FileEndpoint | ClipEndpoint
DeviceBuffer = Literal["low", "high"] | float
"""How much sound the device may hold ahead: its own low or high default, or seconds."""

Sink = DeviceEndpoint | None
"""None: no device; a file source is then paced by a clock, a device source is only recorded."""
