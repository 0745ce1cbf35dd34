"""Open Sound Control messages in a datagram from a stranger (OSC 1.0), every count bounded.

The values are decoded by python-osc; the walk is ours, because that of the package writes a line
to the log for each type that it does not know, and follows bundles as deep as they go.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any

from bunraku.packages import package

MAX_DATAGRAM_BYTES = 2048
MAX_MESSAGES = 32
MAX_BUNDLE_DEPTH = 3
MAX_VALUES = 8
ADDRESS = re.compile(r"/[\w ./-]{1,160}", re.ASCII)
BUNDLE = b"#bundle\0"
BUNDLE_HEAD_BYTES = 16  # the word, and the time at which it is due: here, at once

OscValue = str | int | float | bool


@dataclass(frozen=True)
class OscEvent:
    """One message: its address, and its values as far as they are text, numbers or booleans."""

    address: str
    values: tuple[OscValue, ...]


class OscDecoder:
    """Raises MissingDependencyError without python-osc."""

    def __init__(self) -> None:
        types = package("pythonosc.parsing.osc_types", "python-osc", "OSC", "control")
        self._text = types.get_string
        self._numbers: dict[str, Any] = {
            "i": types.get_int,
            "h": types.get_int64,
            "f": types.get_float,
            "d": types.get_double,
        }
        self._errors = (types.ParseError, ValueError, struct.error)

    def events(self, datagram: bytes) -> list[OscEvent]:
        """All messages, in order; those of a bundle too, whatever its time. Raises ValueError for
        anything damaged, unknown or too large: then nothing of the datagram counts."""
        if len(datagram) > MAX_DATAGRAM_BYTES:
            raise ValueError(f"over {MAX_DATAGRAM_BYTES} bytes")
        found: list[OscEvent] = []
        try:
            self._walk(datagram, 0, found)
        except self._errors as error:
            raise ValueError(f"damaged: {error}") from None
        return found

    def _walk(self, element: bytes, depth: int, found: list[OscEvent]) -> None:
        if not element.startswith(BUNDLE):
            if len(found) == MAX_MESSAGES:
                raise ValueError(f"over {MAX_MESSAGES} messages")
            found.append(self._message(element))
            return
        if depth == MAX_BUNDLE_DEPTH:
            raise ValueError(f"bundles over {MAX_BUNDLE_DEPTH} deep")
        place = BUNDLE_HEAD_BYTES
        while place < len(element):
            (size,) = struct.unpack_from(">i", element, place)
            place += 4
            if size <= 0 or size % 4 or place + size > len(element):
                raise ValueError("a bundle's element does not fit")
            self._walk(element[place : place + size], depth + 1, found)
            place += size

    def _message(self, element: bytes) -> OscEvent:
        address, place = self._text(element, 0)
        if not ADDRESS.fullmatch(address):
            raise ValueError("not an address")
        if place == len(element):
            return OscEvent(address, ())
        tags, place = self._text(element, place)
        if not tags.startswith(",") or len(tags) > 1 + MAX_VALUES:
            raise ValueError("no type tags, or too many")
        values: list[OscValue] = []
        for tag in tags[1:]:
            value, place = self._value(tag, element, place)
            values.append(value)
        if place != len(element):
            raise ValueError("bytes after the last value")
        return OscEvent(address, tuple(values))

    def _value(self, tag: str, element: bytes, place: int) -> tuple[OscValue, int]:
        if tag in "TF":
            return tag == "T", place
        if tag == "s":
            text, place = self._text(element, place)
            return str(text), place
        if tag not in self._numbers:
            raise ValueError("a type of value that is not used here")
        number, place = self._numbers[tag](element, place)
        if not math.isfinite(number):
            raise ValueError("not a finite number")
        return (int(number) if tag in "ih" else float(number)), place
