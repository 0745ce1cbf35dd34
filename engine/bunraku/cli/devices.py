"""`bunraku devices`: what sound devices PortAudio sees."""

from __future__ import annotations

from dataclasses import asdict

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json


def register(app: typer.Typer) -> None:
    app.command()(devices)


def devices(as_json: bool = JSON_OPTION) -> None:
    """List the sound devices; `live --input` and `--output` take a number or part of a name."""
    from bunraku.io.audio_devices import list_devices

    found = list_devices()
    if as_json:
        print_json({"devices": [asdict(device) for device in found]})
        return
    if not found:
        typer.echo(
            "No sound devices. Plug one in or start the sound server; files play without one:"
            " bunraku live --source FILE --out OUT.wav"
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Sound devices", title_justify="left")
    for heading in ("", "name", "through", "in", "out", "rate", "default for"):
        table.add_column(
            heading, justify="right" if heading in {"", "in", "out", "rate"} else "left"
        )
    for device in found:
        defaults = [d for d in ("input", "output") if getattr(device, f"is_default_{d}")]
        table.add_row(
            str(device.index),
            device.name,
            device.host_api,
            str(device.input_channels),
            str(device.output_channels),
            f"{device.default_sample_rate_hz:.0f}",
            ", ".join(defaults),
        )
    Console().print(table)
