"""How commands print: JSON on request, else a rich table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import typer

JSON_OPTION = typer.Option(False, "--json", help="Print one JSON object instead of a table.")


def print_json(report: Mapping[str, Any]) -> None:
    """One JSON object on standard output; NaN and infinity are not JSON and raise ValueError."""
    json.dump(report, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


class Report(Protocol):
    def as_dict(self) -> dict[str, Any]: ...


Shown = TypeVar("Shown", bound=Report)


def show_report(
    report: Shown, files: Mapping[str, Path | None], tables: Callable[[Shown], None], as_json: bool
) -> None:
    """As JSON or by `tables`, with those of `files` that there are."""
    written = {name: str(path) for name, path in files.items() if path and path.exists()}
    if as_json:
        print_json({**report.as_dict(), "files": written})
        return
    tables(report)
    for name, path in written.items():
        typer.echo(f"{name}: {path}")


def print_table(title: str, rows: Mapping[str, Any], note: str = "") -> None:
    """Two columns, name and value."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left", caption=note or None)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, format_value(value))
    Console().print(table)


def format_value(value: Any) -> str:
    """Numbers short, the rest as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
