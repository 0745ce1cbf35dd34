"""`bunraku train look`: make the bundled look again."""

from __future__ import annotations

from pathlib import Path

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json, print_table


def look(
    work: Path = typer.Option(..., help="Folder for downloads, painted views and the training."),
    minutes: float = typer.Option(25.0, help="Minutes of training, painting not counted."),
    into: Path | None = typer.Option(None, help="Folder to copy the model and its card into."),
    resume: bool = typer.Option(
        False, "--resume", help="Continue the training in the work folder."
    ),
    json_output: bool = JSON_OPTION,
) -> None:
    """Make the look of the pack again: pictures, painting by the slow teacher, training, scores."""
    from bunraku.training.look_card import install
    from bunraku.training.look_recipe import NAME, train_look

    report = train_look(work, minutes, resume, None if json_output else typer.echo)
    if into is not None:
        install(work, into)
    if json_output:
        print_json(report)
        return
    shown = ("psnr_db", "ssim", "input_psnr_db", "flicker", "input_flicker", "file_bytes", "steps")
    print_table(NAME, {key: report[key] for key in shown})
