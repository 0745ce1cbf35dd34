"""The presets that a performer can go to, by name and by number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bunraku.errors import UserInputError


class PresetList:
    """presets: files by name, in the performer's order."""

    def __init__(self, presets: Mapping[str, Path]) -> None:
        self._paths = {name: path.resolve() for name, path in presets.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._paths)

    def path(self, name: str) -> Path:
        return self._paths[name]

    def name_of(self, path: Path | None) -> str | None:
        """None: a preset that is not in the list."""
        here = None if path is None else path.resolve()
        return next((name for name, known in self._paths.items() if known == here), None)

    def find(self, name: str) -> str:
        """name: or a number, from 1. Raises UserInputError that lists the names."""
        if name in self._paths:
            return name
        if name.isdecimal() and 1 <= int(name) <= len(self._paths):
            return self.names[int(name) - 1]
        raise UserInputError(
            f"there is no preset '{name[:60]}'; there are {', '.join(self.names) or 'none'}"
        )

    def after(self, current: str | None, step: int) -> str:
        """The one `step` further, round the ends; the first after one that is not in the list.
        Raises UserInputError for an empty list."""
        if not self._paths:
            raise UserInputError("there is no preset to go to: put some beside this one")
        if current is None:
            return self.names[0]
        return self.names[(self.names.index(current) + step) % len(self.names)]
