"""The presets that the page offers: those that come along, a folder's, and the first one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku import presets
from bunraku.effects.video.video_effect import VideoEffect
from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.performance import is_performance, read_performance
from bunraku.session.open_performance import model_of, video_effects

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset

MOST_PRESETS = 200


@dataclass(frozen=True)
class ShelvedPreset:
    """Sources and sinks of a preset are the browser's here; what counts is what lies between."""

    name: str
    path: Path
    preset: PerformancePreset

    def effects(self) -> list[VideoEffect]:
        """Fresh and not yet open. Raises UserInputError."""
        picture = self.preset.picture
        return [] if picture is None else video_effects(picture.effect, self.path)

    @property
    def model(self) -> str | None:
        """What the voice goes through; None: the preset has no voice."""
        return None if self.preset.voice is None else self.preset.voice.model

    def model_path(self) -> str:
        """Raises UserInputError for a file that is not there."""
        assert self.model is not None, "the preset has a voice"
        return str(model_of(self.model, self.path))

    @property
    def voice_effects(self) -> tuple[str, ...]:
        return () if self.preset.voice is None else tuple(self.preset.voice.effects)


class PresetShelf:
    """Read once, at the start. folder: every .toml in it that is a performance preset; of those
    with faults `faults` tells. first: what a visitor begins with."""

    def __init__(self, first: Path | None = None, folder: Path | None = None) -> None:
        self._presets: dict[str, ShelvedPreset] = {}
        self.faults: list[str] = []
        self.first: str | None = None
        if first is not None:
            self.first = self._add(first)
        if folder is not None:
            if not folder.is_dir():
                raise UserInputError(f"no folder {folder}; correct --presets")
            self._add_folder(folder)
        self._add_folder(presets.FOLDER)

    def _add_folder(self, folder: Path) -> None:
        for path in sorted(folder.glob("*.toml"))[:MOST_PRESETS]:
            try:
                if is_performance(path):
                    self._add(path)
            except (BunrakuError, OSError) as error:
                self.faults.append(str(error))

    def _add(self, path: Path) -> str:
        preset = read_performance(path)
        name = preset.name or path.stem
        self._presets.setdefault(name, ShelvedPreset(name, path, preset))
        return name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._presets)

    def find(self, name: str) -> ShelvedPreset:
        """Raises UserInputError that lists the names."""
        if name not in self._presets:
            raise UserInputError(f"no preset '{name[:60]}'; there is {', '.join(self.names)}")
        return self._presets[name]
