"""Models that run in the native core, found by file or by the name of one of the default pack."""

from __future__ import annotations

from pathlib import Path

from bunraku import _native, weights
from bunraku.errors import UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.load import load_model_spec


def pack_names() -> list[str]:
    """Names of the default pack's models, in order."""
    return weights.names()


def find_model(model: str | Path) -> Path:
    """The file `model` means: a path that exists, else a name of the default pack.

    Raises UserInputError that lists the pack.
    """
    path = Path(model)
    if path.is_file():
        return path
    if str(model) in pack_names():
        return weights.find(str(model))
    raise UserInputError(
        f"'{model}' is neither a file nor a model of the default pack"
        f" ({', '.join(pack_names()) or 'which is empty here'})"
    )


def load_model(
    model: str | Path | bytes | _native.Model, *, isa: str = "", force_general: bool = False
) -> _native.Model:
    """A model ready for streams, from a `.nam`, a flat file or its bytes, or a pack name.

    Raises UserInputError (names nothing), ModelFormatError (damaged or hostile), OSError.
    """
    if isinstance(model, _native.Model):
        return model
    data = model if isinstance(model, bytes) else write_flat(load_model_spec(find_model(model)))
    return _native.Model(data, isa=isa, force_general=force_general)
