"""`bunraku bench`: how fast a model runs live on this machine."""

from __future__ import annotations

from pathlib import Path

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def bench(
        model: Path = typer.Argument(help="A .nam, .bnk or preset, or a pack name."),
        block: int = typer.Option(64, "--block", help="Frames in a block, 1 to 8192."),
        isa: str = typer.Option("", "--isa", help="avx512, avx2, neon or portable; best if unset."),
        seconds: float = typer.Option(2.0, "--seconds", help="How long to measure."),
        as_json: bool = JSON_OPTION,
    ) -> None:
        """Time every block of MODEL through the C library, beside this core's peak."""
        from bunraku.effects.audio.native_model import find_model
        from bunraku.measure.bench import bench_file

        report = bench_file(
            find_model(model), block_frames=block, isa=isa, seconds=seconds
        ).as_dict()
        if as_json:
            print_json(report)
        else:
            note = (
                f"late: {report['late_blocks']} of {report['blocks']} blocks took longer than they"
                " last; real_time_factor: median of the rounds; peak: measured between them"
            )
            print_table(f"bunraku bench {model.name}", report, note)
