"""The presets that the page offers: those that come along, a folder's, and the first one."""

from __future__ import annotations

from pathlib import Path

from bunraku import presets
from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.performance import is_performance, read_performance
from bunraku.session.open_performance import check_performance

MOST_PRESETS = 200
MOST_NAME, MOST_STEM = 63, 40


class PresetShelf:
    """`paths` by the names that the presets give themselves; one whose name is taken has its file's
    with it. folder: every .toml in it that is a performance preset. first: what a visitor begins
    with; raises what is wrong with it. `faults` tells what is wrong with the others, and which have
    another name here."""

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
        known = next((name for name, file in self.paths.items() if same(file, path)), None)
        if known is not None:
            return known
        name = wanted = (preset.name or path.stem)[:MOST_NAME]
        if wanted in self.paths:
            name = self._free(wanted, path)
            self.faults.append(
                f"{path}: its name '{wanted}' is that of {self.paths[wanted]} too; here it is"
                f" called '{name}'; give one of them another name"
            )
        self.paths[name] = path
        return name

    def _free(self, wanted: str, path: Path) -> str:
        """A name like `wanted` that is not taken."""
        names = (
            f"{wanted} ({path.stem[:MOST_STEM]}{number})"
            for number in ("", *(f" {k}" for k in range(2, 2 * MOST_PRESETS + 2)))
        )
        return next(name for name in names if name not in self.paths)


def same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
