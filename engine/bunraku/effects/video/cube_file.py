"""Reads .cube files (Adobe's "Cube LUT Specification 1.0"): tables of colours, 1D or 3D."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bunraku.errors import MediaError, ModelFormatError

MAX_CUBE_BYTES = 16 << 20
MAX_LINE = 250
MAX_3D_SIZE = 65
MAX_1D_SIZE = 65_536
MAX_VALUE = 64.0
"""Scene-linear tables go beyond 1; what a camera shows ends there, so the effect clips."""

Table = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cube:
    """table: float32 [size, 3] (1D) or [size_blue, size_green, size_red, 3] (3D), red first;
    low, high: the inputs, red first, that the first and last entries stand for."""

    table: Table
    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)


def read_cube(path: str) -> Cube:
    """Raises MediaError where the file cannot be read, ModelFormatError where it is no table."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_CUBE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{path} cannot be read: {reason}") from error
    if len(data) > MAX_CUBE_BYTES:
        raise ModelFormatError(f"{path} is over {MAX_CUBE_BYTES >> 20} MiB: no .cube file is")
    try:
        return parse_cube(data.decode("utf-8-sig", errors="replace"))
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def parse_cube(text: str) -> Cube:
    """Raises ModelFormatError that names the line."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > MAX_LINE:
            raise ModelFormatError(f"line {number} is {len(line)} characters: at most {MAX_LINE}")
        words = line.split()
        if words and not words[0].startswith("#"):
            try:
                reader.take(words)
            except ModelFormatError as error:
                raise ModelFormatError(f"line {number}: {error}") from None
    return reader.cube()


class _Reader:
    """Takes the lines one by one; never holds more entries than the size allows."""

    def __init__(self) -> None:
        self._sides = 0
        self._size = 0
        self._low = self._high = (math.nan, math.nan, math.nan)
        self._entries: list[tuple[float, float, float]] = []

    def take(self, words: list[str]) -> None:
        match words[0]:
            case "TITLE":
                return
            case "LUT_1D_SIZE":
                self._take_size(words, 1, MAX_1D_SIZE)
            case "LUT_3D_SIZE":
                self._take_size(words, 3, MAX_3D_SIZE)
            case "DOMAIN_MIN":
                self._low = _three(words[1:])
            case "DOMAIN_MAX":
                self._high = _three(words[1:])
            case "LUT_1D_INPUT_RANGE" | "LUT_3D_INPUT_RANGE" if len(words) == 3:
                low, high = _number(words[1]), _number(words[2])
                self._low, self._high = (low, low, low), (high, high, high)
            case _:
                self._take_entry(words)

    def _take_size(self, words: list[str], sides: int, largest: int) -> None:
        if self._sides:
            raise ModelFormatError("a second LUT size: one table a file")
        if len(words) != 2 or not words[1].isascii() or not words[1].isdigit():
            raise ModelFormatError(f"{words[0]} needs one whole number")
        size = int(words[1][:9])
        if not 2 <= size <= largest:
            raise ModelFormatError(f"{words[0]} is {size}: 2 to {largest}")
        self._sides, self._size = sides, size

    def _take_entry(self, words: list[str]) -> None:
        if not self._sides:
            raise ModelFormatError(f"'{words[0][:40]}' before LUT_1D_SIZE or LUT_3D_SIZE")
        if len(self._entries) >= self._size**self._sides:
            raise ModelFormatError(f"more than the {self._size**self._sides} entries announced")
        self._entries.append(_three(words))

    def cube(self) -> Cube:
        wanted = self._size**self._sides
        if not self._sides or len(self._entries) != wanted:
            raise ModelFormatError(
                f"{len(self._entries)} entries where LUT_1D_SIZE or LUT_3D_SIZE announces {wanted}"
                if self._sides
                else "neither LUT_1D_SIZE nor LUT_3D_SIZE: not a .cube file"
            )
        low = (0.0, 0.0, 0.0) if math.isnan(self._low[0]) else self._low
        high = (1.0, 1.0, 1.0) if math.isnan(self._high[0]) else self._high
        if any(top - bottom < 1e-6 for bottom, top in zip(low, high, strict=True)):
            raise ModelFormatError(f"DOMAIN_MIN {low} is not below DOMAIN_MAX {high}")
        table = np.array(self._entries, np.float32)
        return Cube(table.reshape(*[self._size] * self._sides, 3), low, high)


def _three(words: list[str]) -> tuple[float, float, float]:
    if len(words) != 3:
        raise ModelFormatError(f"{len(words)} numbers where red, green and blue are wanted")
    return _number(words[0]), _number(words[1]), _number(words[2])


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ModelFormatError(f"'{word[:40]}' is no number") from None
    if not abs(value) <= MAX_VALUE:
        raise ModelFormatError(f"{word[:40]} is beyond {MAX_VALUE:.0f}")
    return value
