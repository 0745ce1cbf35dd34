"""Performance presets that come along: a camera and a microphone, what is done to them, and a
camera and a microphone that other programs can choose."""

from __future__ import annotations

from pathlib import Path

from bunraku.errors import ModelFormatError, UserInputError
from bunraku.formats.performance import is_performance

FOLDER = Path(__file__).parent
MOST_BESIDE = 64
"""How many presets of one folder are offered to a performer."""


def names() -> list[str]:
    """Names of the presets that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> Path:
    """The file of a preset by its bare name, such as "radio-show".

    Raises UserInputError, listing the names there are, for any other.
    """
    if name not in names():
        raise UserInputError(f"no preset '{name}' comes along: there are {', '.join(names())}")
    return FOLDER / f"{name}.toml"


def locate(preset: Path) -> Path:
    """The file that `preset` means: a path that exists, else the name of one that comes along.

    Raises UserInputError that lists these.
    """
    if preset.is_file():
        return preset
    if str(preset) in names():
        return find(str(preset))
    raise UserInputError(
        f"'{preset}' is neither a file nor a preset that comes along ({', '.join(names())})"
    )


def beside(path: Path) -> dict[str, Path]:
    """The performance presets of the folder in which `path` lies, itself among them, by name, in
    alphabetical order; at most 64. Files that are none, or cannot be read, are left out."""
    found: dict[str, Path] = {}
    for file in sorted(path.absolute().parent.glob("*.toml")):
        if len(found) == MOST_BESIDE:
            break
        try:
            if file.is_file() and is_performance(file):
                found[file.stem] = file
        except (ModelFormatError, OSError):
            continue
    return found
