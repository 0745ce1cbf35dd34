"""The default pack: `.nam` files of voice effects, a model card beside each."""

from __future__ import annotations

from pathlib import Path

from bunraku.errors import UserInputError

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the effects in the pack."""
    return sorted(path.stem for path in FOLDER.glob("*.nam"))


def find(name: str) -> Path:
    """The file of an effect by its bare name, such as "radio".

    Raises UserInputError, listing the names there are, for any other.
    """
    if name not in names():
        raise UserInputError(f"the pack has no effect '{name}': it has {', '.join(names())}")
    return FOLDER / f"{name}.nam"
