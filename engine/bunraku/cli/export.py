"""`bunraku export`: a .nam or a chain preset to the one flat file that the C library reads."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json, print_table
from bunraku.errors import UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.load import load_model_spec
from bunraku.formats.preset import of_size
from bunraku.formats.specs import ModelSpec


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    source: Path = typer.Argument(..., metavar="IN", help="A .nam or a chain preset (.toml)."),
    target: Path = typer.Argument(..., metavar="OUT.bnk", help="The flat file to write."),
    size: float | None = typer.Option(
        None, "--size", help="Of a slimmable model, keep only what plays at this size (0 to 1)."
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite OUT.bnk."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write a model or chain as one flat file (.bnk), which games load through the C library."""
    from bunraku.effects.audio.native_model import find_model

    report = export_file(find_model(source), target, size=size, force=force)
    if as_json:
        print_json(report)
    else:
        print_table(f"wrote {target}", report)


def export_file(
    source: Path, target: Path, *, size: float | None = None, force: bool = False
) -> dict[str, Any]:
    """Read `source`, write `target` whole or not at all; what was written.

    Raises UserInputError (`target` exists, `size` out of range), ModelFormatError, OSError.
    """
    if size is not None and not 0.0 <= size <= 1.0:
        raise UserInputError(f"--size is {size}: give 0 to 1, 1 being the whole model")
    if target.exists() and not force:
        raise UserInputError(f"{target} exists: give another name, or --force to overwrite it")
    spec = load_model_spec(source)
    if size is not None:
        spec = ModelSpec(of_size(spec.chain, size), spec.sample_rate_hz, spec.name, spec.metadata)
    data = write_flat(spec)
    write_whole(target, data)
    return {
        "file": str(target),
        "name": spec.name,
        "bytes": len(data),
        "sample_rate_hz": spec.sample_rate_hz,
        "effects": len(spec.chain.nodes),
    }


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename: nobody ever sees half a file."""
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
