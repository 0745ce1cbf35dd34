"""`bunraku render IN OUT`: a file through a model, offline."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bunraku.cli.output_files import refuse_existing
from bunraku.cli.reporting import JSON_OPTION, print_json, print_table
from bunraku.cli.signals import terminate_like_interrupt

if TYPE_CHECKING:
    from rich.progress import Progress


def register(app: typer.Typer) -> None:
    app.command()(render)


def render(
    source: Path = typer.Argument(..., metavar="IN", help="An audio file of any format and rate."),
    target: Path = typer.Argument(..., metavar="OUT", help="The file to write, usually .wav."),
    model: str = typer.Option(
        ..., "--model", "-m", help="A .nam, .bnk or preset, or a name of the default pack."
    ),
    block: int = typer.Option(512, "--block", help="Frames in a block; the sound is the same."),
    size: float = typer.Option(1.0, "--size", help="Of a slimmable model, 0 to 1."),
    effect: list[str] = typer.Option([], "--effect", help="A Python effect after it; repeatable."),
    force: bool = typer.Option(False, "--force", help="Overwrite OUT if it exists."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Render a file: same length, latency taken out, 32-bit float WAV."""
    from bunraku.session import render as offline

    refuse_existing(target, "name", force)
    with terminate_like_interrupt(), progress_bar(as_json) as bar:
        task = None if bar is None else bar.add_task(f"{source.name}", total=None)

        def show(done: int, whole: int) -> None:
            if bar is not None and task is not None:
                bar.update(task, completed=done, total=max(done, whole))

        report = offline.render(
            source,
            target,
            model,
            block_frames=block,
            size=size,
            python_effects=effect,
            overwrite=force,
            on_progress=show,
        )
    if as_json:
        print_json({"source": str(source), "target": str(target), **report.as_dict()})
        return
    print_table(
        f"{target}",
        {
            "model": f"{report.model} ({report.isa})",
            "sound": f"{report.seconds:.2f} s, {report.channels} ch, {report.sample_rate_hz} Hz",
            "took": f"{report.took_seconds:.2f} s, {report.real_time_factor:.1f} x real time",
            "latency taken out": f"{report.latency_frames} frames",
            "peak in, out": f"{report.input_peak:.3f}, {report.output_peak:.3f}",
        },
    )


def progress_bar(as_json: bool) -> Any:
    """A rich progress bar on a terminal; nothing elsewhere."""
    if as_json or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar: Progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    return bar
