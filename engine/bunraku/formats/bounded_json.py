"""JSON from strangers: bounded in size, depth and count before parsing, typed on access."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.check import EXPORT_AGAIN, refuse
from bunraku.formats.specs import Weights

# A whole string (also an unfinished one, so that the scan stays linear), or one bracket.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
MAX_NUMBER_DIGITS = 40


def parse(data: bytes) -> Fields:
    """The top-level object of `data`. ModelFormatError where it is not one, or out of bounds."""
    if len(data) > limits.MAX_NAM_BYTES:
        refuse("the file size", len(data), f"allowed is up to {limits.MAX_NAM_BYTES:,} bytes")
    check_nesting(data)
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=unique_keys,
            parse_constant=refuse_constant,
            parse_int=bounded_int,
        )
    except UnicodeDecodeError as error:
        raise ModelFormatError(
            f"byte {error.start:,} is not valid UTF-8 text: {EXPORT_AGAIN}"
        ) from None
    except json.JSONDecodeError as error:
        raise ModelFormatError(
            f"not valid JSON: {error.msg} at line {error.lineno:,} column {error.colno:,}; "
            f"{EXPORT_AGAIN}"
        ) from None
    except RecursionError:
        refuse("the depth of the JSON", "too deep", f"allowed is {limits.MAX_JSON_DEPTH}")
    if not isinstance(value, dict):
        refuse("the top of the file", type_name(value), "must be a JSON object")
    return Fields(value, "")


def check_nesting(data: bytes) -> None:
    """Refuse deep or very many containers; what is left costs a small multiple of its text."""
    depth = count = 0
    for match in TOKEN.finditer(data):
        first = data[match.start()]
        if first in b"[{":
            depth += 1
            count += 1
            if depth > limits.MAX_JSON_DEPTH:
                refuse("the depth of the JSON", depth, f"allowed is {limits.MAX_JSON_DEPTH}")
            if count > limits.MAX_JSON_CONTAINERS:
                refuse(
                    "the number of JSON lists and objects",
                    count,
                    f"allowed is {limits.MAX_JSON_CONTAINERS:,}",
                )
        elif first in b"]}":
            depth -= 1


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                refuse("a JSON key", key, "must occur once in its object")
            seen.add(key)
    return result


def refuse_constant(text: str) -> NoReturn:
    refuse("a number", text, "must be finite (JSON knows no NaN or Infinity)")


def bounded_int(text: str) -> int:
    if len(text) > MAX_NUMBER_DIGITS:
        refuse("a number", text, f"allowed are up to {MAX_NUMBER_DIGITS} digits")
    return int(text)


class Kind(str):
    """A kind of value, shown without quotes."""

    __repr__ = str.__str__


def type_name(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return Kind("null" if value is None else names.get(type(value), "a number"))


class Fields:
    """A JSON object whose values are read by name and type; errors name the path from the top."""

    def __init__(self, values: dict[str, Any], path: str) -> None:
        self.values = values
        self.path = path

    def where(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """True where the key is present and not null."""
        return self.values.get(key) is not None

    def take(self, key: str) -> Any:
        """The raw value of a required key."""
        if not self.has(key):
            raise ModelFormatError(f"{self.where(key)} is missing: {EXPORT_AGAIN}")
        return self.values[key]

    def integer(self, key: str, default: int | None = None) -> int:
        if default is not None and not self.has(key):
            return default
        return as_integer(self.take(key), self.where(key))

    def number(self, key: str, default: float | None = None) -> float:
        if default is not None and not self.has(key):
            return default
        return as_number(self.take(key), self.where(key))

    def boolean(self, key: str, default: bool | None = None) -> bool:
        if default is not None and not self.has(key):
            return default
        value = self.take(key)
        if not isinstance(value, bool):
            refuse(self.where(key), value, "must be true or false")
        return value

    def text(self, key: str) -> str:
        return as_text(self.take(key), self.where(key))

    def section(self, key: str) -> Fields:
        return as_object(self.take(key), self.where(key))

    def items(self, key: str) -> list[Any]:
        return as_list(self.take(key), self.where(key))

    def objects(self, key: str) -> Iterator[Fields]:
        for index, value in enumerate(self.items(key)):
            yield as_object(value, f"{self.where(key)}[{index}]")

    def integers(self, key: str) -> list[int]:
        return [
            as_integer(value, f"{self.where(key)}[{index}]")
            for index, value in enumerate(self.items(key))
        ]

    def for_each_layer(self, key: str, count: int, read: Callable[[Any, str], Any]) -> list[Any]:
        """One value for all `count` layers, or a list with one for each, through `read`."""
        value = self.take(key)
        if not isinstance(value, list):
            return [read(value, self.where(key))] * count
        if len(value) != count:
            refuse(f"the length of {self.where(key)}", len(value), f"must be {count}, as dilations")
        return [read(item, f"{self.where(key)}[{index}]") for index, item in enumerate(value)]

    def weights(self, key: str) -> Weights:
        """A list of numbers as read-only float32. The caller checks that they are finite."""
        values = self.items(key)
        if not set(map(type, values)) <= {int, float}:
            index = next(i for i, v in enumerate(values) if type(v) not in (int, float))
            refuse(f"{self.where(key)}[{index}]", values[index], "must be a number")
        with np.errstate(over="ignore"):
            result = np.asarray(values, dtype=np.float64).astype(np.float32)
        result.flags.writeable = False
        return result


def as_integer(value: Any, where: str) -> int:
    if type(value) is float and value.is_integer():  # 8.0, as some exporters write
        value = int(value)
    if type(value) is not int:
        refuse(where, value, "must be a whole number")
    if abs(value) > 1 << 31:
        refuse(where, value, "must fit in 32 bits")
    return int(value)


def as_number(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        refuse(where, value, "must be a number")
    if not np.isfinite(np.float64(value)):
        refuse(where, value, "must be finite")
    return float(value)


def as_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        refuse(where, value, "must be text")
    return value


def as_object(value: Any, where: str) -> Fields:
    if not isinstance(value, dict):
        refuse(where, type_name(value), "must be an object")
    return Fields(value, where)


def as_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(where, type_name(value), "must be a list")
    return value
