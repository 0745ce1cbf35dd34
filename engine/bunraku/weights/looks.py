"""The looks of the pack: image generators for the `neural` video effect, found by name."""

from __future__ import annotations

from pathlib import Path

from bunraku.errors import UserInputError

FOLDER = Path(__file__).parent
SUFFIXES = (".onnx", ".safetensors")


def names() -> list[str]:
    """Names of the looks in the pack."""
    return sorted(path.stem for path in FOLDER.glob("*.onnx"))


def find(name: str, suffix: str = ".onnx") -> Path:
    """The file of a look by its bare name: ".onnx" for CPUs, ".safetensors" for PyTorch.

    Raises UserInputError, listing the names there are, for any other.
    """
    if name not in names():
        known = ", ".join(names())
        raise UserInputError(
            f"no look is named '{name:.100}': the pack has {known}; give another model as a path "
            f"to a {' or '.join(SUFFIXES)} file"
        )
    return FOLDER / f"{name}{suffix}"
