"""TOML from a stranger: bounded before it is parsed, then checked against a pydantic model."""

from __future__ import annotations

import importlib
import re
import tomllib
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from bunraku.errors import MissingDependencyError, ModelFormatError
from bunraku.formats import limits
from bunraku.formats.check import refuse

if TYPE_CHECKING:
    from pydantic import BaseModel

FIX_IT = "correct the preset"

# a.b."c".d: the parser's work grows with the square of the parts, and no preset has such keys.
MAX_KEY_PARTS = 16
KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(
    rf"(?<![\w-]){KEY_PART}(?:[ \t]*+\.[ \t]*+{KEY_PART}){{{MAX_KEY_PARTS}}}", re.ASCII
)

Shape = TypeVar("Shape", bound="BaseModel")


def shape_module(name: str) -> ModuleType:
    """The module that holds pydantic models. Raises MissingDependencyError with the remedy."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "presets need the package 'pydantic': pip install 'bunraku[cli]'"
        ) from error


def checked_toml(data: bytes, shape: type[Shape]) -> Shape:
    """The bytes as `shape` has them. Raises ModelFormatError that names the key and the remedy."""
    from pydantic import ValidationError

    from bunraku.formats.shape_error import worded

    text = bounded_text(data)
    try:
        return shape.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ModelFormatError(f"{worded(error, shape)}; {FIX_IT}") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ModelFormatError(f"not valid TOML: {reason}; {FIX_IT}") from None


def bounded_text(data: bytes) -> str:
    if len(data) > limits.MAX_PRESET_BYTES:
        refuse(
            "the preset size",
            len(data),
            f"allowed is up to {limits.MAX_PRESET_BYTES:,} bytes",
            FIX_IT,
        )
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ModelFormatError(f"the preset is not UTF-8 text: {FIX_IT}") from None
    if LONG_KEY.search(text) is not None:
        raise ModelFormatError(f"a key has over {MAX_KEY_PARTS} parts: {FIX_IT}")
    return text
