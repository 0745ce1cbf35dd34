"""The wire format of protocol buffers, read without their library: bounded, never recursive.

Source: the public encoding guide of Protocol Buffers. Enough of it to look into a file from a
stranger before a runtime does.
"""

from __future__ import annotations

from collections.abc import Iterator

from bunraku.errors import ModelFormatError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VARINT_BYTES_MAX = 10
Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of each field in turn: an int, or a view of the bytes.

    Raises ModelFormatError where the message is cut off or no such message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ModelFormatError(f"not a protocol buffer (wire type {kind}): export it again")
        if size > end - at:
            raise ModelFormatError("the file is cut off: copy or export it again")
        yield number, message[at : at + size]
        at += size


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """The unsigned number at `at`, and where the next field starts."""
    value = 0
    for index in range(VARINT_BYTES_MAX):
        if at + index >= len(message):
            break
        byte = message[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & (1 << 64) - 1, at + index + 1
    raise ModelFormatError("the file is cut off or no protocol buffer: copy or export it again")


def signed(value: Value) -> int:
    """An int64 as the wire has it: two's complement."""
    if not isinstance(value, int):
        raise ModelFormatError("a number was expected, found bytes: export the file again")
    return value - (1 << 64) if value >= 1 << 63 else value


def view(value: Value) -> memoryview:
    """The bytes of a field. ModelFormatError for a number."""
    if isinstance(value, int):
        raise ModelFormatError("bytes were expected, found a number: export the file again")
    return value


def text(value: Value, longest: int = 1000) -> str:
    """At most `longest` bytes as text; what is no UTF-8 is shown as such."""
    return bytes(view(value)[:longest]).decode("utf-8", "replace")
