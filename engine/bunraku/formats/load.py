"""Read a model from a file of any kind that bunraku knows, chosen by its content."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.check import refuse
from bunraku.formats.flat import HEADER
from bunraku.formats.flat_reader import is_flat, parse_flat
from bunraku.formats.nam import parse_nam
from bunraku.formats.preset import parse_preset
from bunraku.formats.specs import ModelSpec

MAX_FILE_BYTES = limits.MAX_PAYLOAD_BYTES + HEADER.size
PRESET_SUFFIX = ".toml"
KINDS = "a .nam file, a flat model file (.bnk) or a chain preset (.toml)"


def load_model_spec(path: str | Path) -> ModelSpec:
    """The checked content of the file at `path`: a `.nam`, a flat model file or a chain preset.

    Raises ModelFormatError (not one of these, damaged, hostile), OSError (cannot be read).
    """
    return Loader().load(Path(path))


class Loader:
    """Reads one file and those it names; each file once, and not without end."""

    def __init__(self) -> None:
        self.depth = 0
        self.loaded: dict[Path, ModelSpec] = {}

    def load(self, path: Path) -> ModelSpec:
        if path in self.loaded:
            return self.loaded[path]
        if len(self.loaded) >= limits.MAX_PRESET_FILES:
            refuse(
                "the number of files",
                len(self.loaded) + 1,
                f"allowed are {limits.MAX_PRESET_FILES}",
                "use fewer",
            )
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        try:
            self.loaded[path] = self.parse(data, path)
        except ModelFormatError as error:
            raise ModelFormatError(f"{path}: {error}") from None
        return self.loaded[path]

    def parse(self, data: bytes, path: Path) -> ModelSpec:
        if is_flat(data):
            return parse_flat(data)
        if data.removeprefix(BOM_UTF8).lstrip()[:1] == b"{":
            return parse_nam(data, name=path.stem)
        if path.suffix.lower() == PRESET_SUFFIX:
            return self.preset(data, path)
        raise ModelFormatError(f"of no known kind: give {KINDS}")

    def preset(self, data: bytes, path: Path) -> ModelSpec:
        if self.depth >= limits.MAX_PRESET_DEPTH:
            refuse(
                "presets within presets",
                self.depth + 1,
                f"allowed are {limits.MAX_PRESET_DEPTH}",
                "name the models directly; a preset must not name itself",
            )
        self.depth += 1
        try:
            return parse_preset(data, path, self.load)
        finally:
            self.depth -= 1
