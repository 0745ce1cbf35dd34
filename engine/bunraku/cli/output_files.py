"""The files that a command is asked to write."""

from __future__ import annotations

from pathlib import Path

from bunraku.errors import UserInputError


def refuse_existing(path: Path | None, option: str, overwrite: bool) -> None:
    """Before anything is opened. Raises UserInputError where something is at `path` already."""
    if path is not None and path.exists() and not overwrite:
        raise UserInputError(
            f"{path} exists and is not overwritten; choose another {option} or use --force"
        )
