"""A performance preset: a TOML file that names everything `bunraku live` plays.

    name = "Evening"

    [voice]
    model = "radio"                      # of the default pack, or a file beside the preset
    source = { type = "device" }         # or { type = "file", file = "speech.wav" }
    sink = { type = "virtual_microphone" }

    [picture]
    source = { type = "camera", width = 640, height = 480, rate_hz = 30.0 }

        [[picture.effect]]
        type = "background_blur"
        strength = 0.7

    [[sink]]
    type = "virtual_camera"

`docs/presets.md` lists all keys. Files that are read lie in the preset's folder or below it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.bounded_toml import FIX_IT, bounded_text, checked_toml, shape_module

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset


def read_performance(path: Path) -> PerformancePreset:
    """The checked preset at `path`. Raises ModelFormatError (damaged, hostile), OSError."""
    with path.open("rb") as file:
        data = file.read(limits.MAX_PRESET_BYTES + 1)
    try:
        return parse_performance(data)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def parse_performance(data: bytes) -> PerformancePreset:
    shape = shape_module("bunraku.formats.performance_shape")
    preset: PerformancePreset = checked_toml(data, shape.PerformancePreset)
    return preset


def is_performance(path: Path) -> bool:
    """Whether the TOML file at `path` is one of these, rather than a chain preset. Raises OSError,
    ModelFormatError."""
    with path.open("rb") as file:
        data = file.read(limits.MAX_PRESET_BYTES + 1)
    try:
        content = tomllib.loads(bounded_text(data))
    except (ValueError, RecursionError):
        raise ModelFormatError(f"{path}: not valid TOML; {FIX_IT}") from None
    return "voice" in content or "picture" in content
