"""Read a model from a file of any kind that bunraku knows, chosen by its content."""

from __future__ import annotations

from pathlib import Path

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.flat import HEADER
from bunraku.formats.flat_reader import is_flat, parse_flat
from bunraku.formats.nam import parse_nam
from bunraku.formats.specs import ModelSpec

MAX_FILE_BYTES = limits.MAX_PAYLOAD_BYTES + HEADER.size
KINDS = "a .nam file, a flat model file (.bnk)"


def load_model_spec(path: str | Path) -> ModelSpec:
    """The checked content of the file at `path`: a `.nam` or a flat model file.

    Raises ModelFormatError (not one of these, damaged, hostile), OSError (cannot be read).
    """
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    try:
        return parse_model(data, path)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def parse_model(data: bytes, path: Path) -> ModelSpec:
    if is_flat(data):
        return parse_flat(data)
    if data.lstrip()[:1] == b"{":
        return parse_nam(data, name=path.stem)
    raise ModelFormatError(f"of no known kind: give {KINDS}")
