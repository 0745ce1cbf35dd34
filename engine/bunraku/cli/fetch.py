"""`bunraku fetch`: the third-party models into the cache, before they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json


def register(app: typer.Typer) -> None:
    app.command()(fetch)


def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which models; all of them if none is named.")
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Fetch the models of the video effects, checked by SHA-256, so that none is awaited live."""
    from bunraku.weights.fetched import MANIFEST

    found = {name: _fetched(name, quiet=as_json) for name in names or MANIFEST}
    if as_json:
        print_json({"models": {name: str(path) for name, path in found.items()}})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Models in the cache", title_justify="left", show_lines=True)
    for heading in ("model", "bytes", "where"):
        table.add_column(
            heading, justify="right" if heading == "bytes" else "left", overflow="fold"
        )
    for name, path in found.items():
        model = MANIFEST[name]
        about = f"{name}: {model.purpose}; {model.licence}"
        table.add_row(about, f"{model.size_bytes:,}", str(path))
    Console().print(table)


def _fetched(name: str, quiet: bool) -> Path:
    from bunraku.weights import fetched

    if quiet:
        return fetched.fetch(name)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)

        def show(source: str, done: int, total: int) -> None:
            bar.update(task, description=f"{name} from {source}", completed=done, total=total)

        return fetched.fetch(name, show)
