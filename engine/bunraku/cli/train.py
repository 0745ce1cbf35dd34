"""`bunraku train`: learn an effect from a dry and a wet recording, or make the packs again."""

from __future__ import annotations

from pathlib import Path

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json, print_table
from bunraku.cli.train_look import look

GOOD_ESR = 0.02
USABLE_ESR = 0.2


def register(app: typer.Typer) -> None:
    train_app = typer.Typer(help="Train models.", no_args_is_help=True)
    train_app.command("effect")(effect)
    train_app.command("pack")(pack)
    train_app.command("look")(look)
    app.add_typer(train_app, name="train")


def effect(
    dry: Path = typer.Option(..., help="What went into the effect: mono audio file."),
    wet: Path = typer.Option(..., help="What came out of it, in the same performance."),
    out: Path = typer.Option(..., help="Folder for the .nam, the report and checkpoints."),
    name: str = typer.Option("", help="Name of the effect; without it, that of the folder."),
    architecture: str = typer.Option("standard", help="standard, lite, feather, nano or a2."),
    epochs: int | None = typer.Option(None, help="Passes; 100, or no bound with --minutes."),
    minutes: float | None = typer.Option(None, help="End after so many minutes of training."),
    validation_seconds: float = typer.Option(15.0, help="Kept from the end to judge by."),
    learning_rate: float = typer.Option(1e-2, help="Highest learning rate, 1e-6 to 0.1."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    seed: int = typer.Option(0, help="Same seed, same epochs, same machine: same model."),
    resume: bool = typer.Option(False, "--resume", help="Continue the training in --out."),
    json_output: bool = JSON_OPTION,
) -> None:
    """Learn an effect from a dry and a wet recording; ends in a .nam file and a report."""
    from bunraku.training.effect_recipe import train_effect
    from bunraku.training.effect_settings import EffectSettings

    result = train_effect(
        EffectSettings(
            dry=dry,
            wet=wet,
            out=out,
            name=name,
            architecture=architecture,
            epochs=epochs,
            minutes=minutes,
            validation_seconds=validation_seconds,
            learning_rate=learning_rate,
            device=device,
            seed=seed,
            resume=resume,
            progress_bar=not json_output,
        )
    )
    report = result.as_json()
    if json_output:
        print_json(report)
    else:
        verdict = verdict_on(result.validation_esr)
        shown = {k: v for k, v in report.items() if k != "notes"}
        print_table(f"{result.name}: {verdict}", shown, "\n".join(result.notes))


def verdict_on(validation_esr: float) -> str:
    """How close the effect came, in words."""
    if validation_esr <= GOOD_ESR:
        return "trained, close to the recording"
    if validation_esr <= USABLE_ESR:
        return "trained, audibly different from the recording: train longer"
    return "not learnt: train longer, or with a larger --architecture"


def pack(
    work: Path = typer.Option(..., help="Folder for downloads, recordings and runs."),
    only: str = typer.Option("", help="Name of one effect of the pack; without it, all."),
    minutes: float = typer.Option(8.0, help="Minutes of training for each effect."),
    into: Path | None = typer.Option(None, help="Folder to copy models and model cards into."),
    resume: bool = typer.Option(False, "--resume", help="Continue trainings in the work folder."),
    json_output: bool = JSON_OPTION,
) -> None:
    """Make the default pack again: speech packages, guitarix circuits, training, held-out ESR."""
    from bunraku.training.pack_card import install
    from bunraku.training.pack_recipe import find_circuit, train_circuit
    from bunraku.training.pack_sources import CIRCUITS

    circuits = [find_circuit(only)] if only else list(CIRCUITS)
    reports = {
        c.name: train_circuit(c, work, minutes, progress_bar=not json_output, resume=resume)
        for c in circuits
    }
    if into is not None:
        install(circuits, work, into)
    if json_output:
        print_json(reports)
        return
    for name, report in reports.items():
        shown = ("test_esr", "validation_esr", "train_esr", "architecture", "file_bytes", "minutes")
        print_table(name, {key: report[key] for key in shown})
