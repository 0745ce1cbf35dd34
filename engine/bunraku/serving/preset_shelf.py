"""The presets that the page offers: those that come along, a folder's, and the first one."""

from __future__ import annotations

from pathlib import Path

from bunraku import presets
from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.performance import is_performance, read_performance
from bunraku.session.open_performance import check_performance

MOST_PRESETS = 200


class PresetShelf:
    """`paths` by the names that the presets give themselves. folder: every .toml in it that is a
    performance preset; of those with faults `faults` tells. first: what a visitor begins with;
    raises what is wrong with it."""

    def __init__(self, first: Path | None = None, folder: Path | None = None) -> None:
        self.paths: dict[str, Path] = {}
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
        check_performance(preset, path)
        name = preset.name or path.stem
        self.paths.setdefault(name, path)
        return name
