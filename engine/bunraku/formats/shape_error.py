"""What does not fit a pydantic model, in our words: place, value, range and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Models = list[type[BaseModel]]

MOST_SHOWN = 60
NUMBER = {
    "greater_than_equal": "",
    "greater_than": "",
    "less_than_equal": "",
    "less_than": "",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
}
OTHER_TYPE = {
    "string_type": "use text in quotes",
    "bool_type": "use true or false",
    "list_type": "use a list",
    "dict_type": "use a table of keys",
    "model_type": "use a table of keys",
    "model_attributes_type": "use a table of keys",
}
UNION_LABELS = frozenset({"str", "int", "float", "bool", "[key]"})
"""What pydantic puts into a place beside the keys."""


def worded(
    error: ValidationError, shape: type[BaseModel], whole: str = "", noun: str = "key"
) -> str:
    """The first fault in `error`, raised by `shape`, in one line. whole: the name of what was
    checked, before every key. noun: what its keys are called."""
    first = error.errors(include_url=False)[0]
    keys, field, models = walked(shape, first["loc"])
    keys = [whole, *keys] if whole else keys
    place = ".".join(keys)
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        owner = ".".join(keys[:-1]) or "the preset"
        known = ", ".join(models[0].model_fields) if models else ""
        return f'{owner} has no {noun} "{keys[-1]}"; its {noun}s: {known or "none"}'
    if kind == "missing":
        return f"{place} is missing: add it"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        value = context.get("tag")
        said = "is missing" if value is None else f"is {shortened(repr(value))}"
        return f"{place}.type {said}: use {', '.join(tag for m in models for tag in tags_of(m))}"
    if kind == "value_error" and isinstance(first["input"], dict):
        return f"{place}: {context['error']}" if place else str(context["error"])
    return f"{place or 'the preset'} is {shown(first['input'])}: {allowed(first, field)}"


def allowed(fault: ErrorDetails, field: FieldInfo | None) -> str:
    """What the field may be instead."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in NUMBER:
        return " ".join(part for part in ("use", NUMBER[kind], range_of(field, context)) if part)
    match kind:
        case "literal_error":
            return f"use {context['expected']}"
        case "string_pattern_mismatch" if field is not None and field.description:
            return f"use {field.description}"
        case "string_too_short" | "too_short":
            return f"use at least {context['min_length']} {counted(kind)}"
        case "string_too_long" | "too_long":
            return f"use at most {context['max_length']} {counted(kind)}"
        case "value_error":
            return str(context["error"])
    return OTHER_TYPE.get(kind, fault["msg"])


def counted(kind: str) -> str:
    return "characters" if kind.startswith("string") else "entries"


def range_of(field: FieldInfo | None, context: dict[str, Any]) -> str:
    """ "0 to 1"; "" where nothing bounds it."""
    marks = [] if field is None else list(marks_of(field))

    def bound(*names: str) -> Any:
        found = (getattr(mark, name, None) for name in names for mark in marks)
        told = (context.get(name) for name in names)
        return next((value for value in (*found, *told) if value is not None), None)

    low, high = bound("ge", "gt"), bound("le", "lt")
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return "" if high is None else f"at most {high:g}"


def marks_of(field: FieldInfo) -> Iterator[Any]:
    """Bounds, also those within an optional or a list."""
    yield from field.metadata
    parts: list[Any] = [field.annotation]
    while parts:
        part = parts.pop()
        if isinstance(part, FieldInfo):
            yield from part.metadata
        parts += get_args(part)


def walked(
    shape: type[BaseModel], place: Sequence[str | int]
) -> tuple[list[str], FieldInfo | None, Models]:
    """The keys on the way to `place`, without what pydantic adds; the last field met; the models
    that what stands there may be: where it has no field, those that miss it."""
    keys: list[str] = []
    field: FieldInfo | None = None
    models: Models = [shape]
    for part in place:
        tagged = [model for model in models if part in tags_of(model)]
        if len(models) > 1 and tagged:
            models = tagged
            continue
        if part in UNION_LABELS:
            continue
        keys.append(shortened(str(part) if str(part).isprintable() else ascii(part)))
        owner = next((model for model in models if part in model.model_fields), None)
        if owner is not None:
            field = owner.model_fields[str(part)]
            models = models_in(field.annotation)
    return keys, field, models


def models_in(annotation: Any) -> Models:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def tags_of(model: type[BaseModel]) -> tuple[Any, ...]:
    """What its `type` may be, where that tells it from others."""
    field = model.model_fields.get("type")
    return () if field is None else get_args(field.annotation)


def shown(value: object) -> str:
    """As it stands in a preset."""
    return str(value).lower() if isinstance(value, bool) else shortened(repr(value))


def shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
