"""`bunraku measure`: how late sound and picture are, by marks that go the real way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bunraku.cli.live import device_buffer_of
from bunraku.cli.output_files import refuse_existing
from bunraku.cli.reporting import JSON_OPTION, print_json, print_table
from bunraku.cli.signals import terminate_like_interrupt
from bunraku.cli.terminal_view import working
from bunraku.errors import UserInputError

if TYPE_CHECKING:
    from bunraku.measure.glass import GlassReport
    from bunraku.measure.latency_series import LatencyFigures
    from bunraku.measure.loopback_report import LoopbackReport

HTML_OPTION = typer.Option(None, "--html", help="Write a report with plots to this file.")
FORCE_OPTION = typer.Option(False, "--force", help="Overwrite files that exist.")
NO_MODEL = "none"


def register(app: typer.Typer) -> None:
    """Add the group and its two commands."""
    group = typer.Typer(help=__doc__, no_args_is_help=True)
    group.command()(loopback)
    group.command()(glass)
    app.add_typer(group, name="measure")


# ---- sound --------------------------------------------------------------------------------------


def loopback(
    input_name: str | None = typer.Option(None, "--input", help="Where the cable ends."),
    output_name: str | None = typer.Option(None, "--output", help="Where the cable begins."),
    model: str = typer.Option(NO_MODEL, "--model", "-m", help="A file, a pack name, or none."),
    block: int = typer.Option(256, "--block", help="Frames in a block."),
    rate: int | None = typer.Option(None, "--rate", help="Hz; the device's if left out."),
    buffer: str = typer.Option("high", "--buffer", help="As in bunraku live: low, high, or ms."),
    seconds: float = typer.Option(20.0, "--seconds", help="How long to measure, 2 to 300."),
    paced: bool = typer.Option(False, "--paced", help="Without devices: a session on the clock."),
    html: Path | None = HTML_OPTION,
    force: bool = FORCE_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Markers from an output through a cable to an input, and through a model.

    Connect the two by a cable, or choose a sound server's monitor as input. It plays chirps at a
    quarter of full scale: take off your headphones.
    """
    from bunraku.measure.html_report import check_html
    from bunraku.measure.loopback import measure_loopback

    if html is not None:
        check_html(html, force)
    with terminate_like_interrupt(), working(f"measuring for {seconds:g} s ..."):
        report = measure_loopback(
            model=None if model == NO_MODEL else model,
            input_name=input_name,
            output_name=output_name,
            paced=paced,
            block_frames=block,
            seconds=seconds,
            sample_rate_hz=rate,
            device_buffer=device_buffer_of(buffer),
        )
    facts = loopback_facts(report)
    rows = {"latency": report.latency_ms}
    if report.device_ms is not None and report.through_effect:
        rows["  devices alone"] = report.device_ms
    if html is not None:
        write_report(html, "Sound: how late", report.path, report, rows, facts, force)
    show(report, rows, facts, html, as_json)


def loopback_facts(report: LoopbackReport) -> dict[str, str]:
    rate = report.sample_rate_hz
    effect = "not measured" if report.effect_ms is None else f"{report.effect_ms:.3f} ms"
    added = f"{effect} measured, {report.declared_ms:.3f} ms declared"
    if report.model_rate_hz != rate:
        added += f"; in it: resampling to the model's {report.model_rate_hz:,} Hz and back"
    return {
        "model": report.model,
        "added by the model": added,
        "block": f"{report.block_frames} frames at {rate:,} Hz"
        f" ({1e3 * report.block_frames / rate:.2f} ms)",
        "markers": f"{report.emitted} emitted, {report.lost} lost, {report.disturbed} disturbed",
        "likeness of what came back": f"{report.score:.2f} (1 is the marker itself)",
        "underflows, misses": f"{report.underflows}, {report.misses}",
        "measured for": f"{report.seconds:.1f} s",
    }


# ---- picture ------------------------------------------------------------------------------------


def glass(
    preset: Path | None = typer.Argument(None, help="A performance preset; else the options say."),
    camera: str | None = typer.Option(None, "--camera", help="Number or name part of a camera."),
    test: bool = typer.Option(False, "--test", help="The test picture; so if nothing is said."),
    filmed: bool = typer.Option(
        False, "--filmed", help="Show the code in a window and film it with --camera."
    ),
    window: bool = typer.Option(False, "--window", help="Show it in a window as well."),
    virtual_camera: bool = typer.Option(False, "--virtual-camera", help="And to that."),
    file: Path | None = typer.Option(None, "--file", help="And record it to this MP4."),
    effect: list[str] = typer.Option([], "--effect", help="A video effect; repeatable."),
    seconds: float = typer.Option(20.0, "--seconds", help="How long to measure, 1 to 3600."),
    html: Path | None = HTML_OPTION,
    force: bool = FORCE_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """A time code drawn into each frame at its capture, read where the frame is shown."""
    from bunraku import presets
    from bunraku.io.video_specs import CameraSpec
    from bunraku.measure.glass import measure_filmed, measure_glass
    from bunraku.measure.glass_preset import wanted_performance
    from bunraku.measure.html_report import check_html

    if html is not None:
        check_html(html, force)
    refuse_existing(file, "--file", force)
    if test and camera is not None:
        raise UserInputError("--test and --camera exclude each other: give one")
    if preset is not None and (test or camera is not None or window or virtual_camera or effect):
        raise UserInputError("a preset names source, effects and sinks: leave out those options")
    device = None if camera is None else camera_of(camera)
    with terminate_like_interrupt(), working(f"measuring for {seconds:g} s ..."):
        if filmed:
            if preset or test or effect or window or virtual_camera or file:
                raise UserInputError("--filmed goes with --camera alone: leave out the rest")
            spec = CameraSpec() if device is None else CameraSpec(device)
            report = measure_filmed(spec, seconds=seconds)
        else:
            found = None if preset is None else presets.locate(preset)
            performance, path = wanted_performance(found, device, window, virtual_camera, effect)
            report = measure_glass(
                performance,
                path,
                seconds=seconds,
                record_to=file,
                overwrite=force,
                on_message=lambda text: typer.echo(f"· {text}", err=True),
            )
    facts = glass_facts(report)
    rows = {"latency": report.latency_ms}
    if html is not None:
        write_report(html, "Picture: how late", report.what, report, rows, facts, force)
    show(report, rows, facts, html, as_json)


def camera_of(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def glass_facts(report: GlassReport) -> dict[str, str]:
    facts = {
        "read from": report.read_from,
        "picture": f"{report.width} x {report.height} at {report.rate_hz:g} Hz",
        "frames": f"{report.captured} captured, {report.arrived} arrived, {report.dropped} dropped",
        "codes": f"{report.unreadable} unreadable, {report.repeated} seen again",
        "measured for": f"{report.seconds:.1f} s",
    }
    if report.budget_ms > 0:
        facts["later than asked"] = f"{report.late} frames (over {report.budget_ms:g} ms)"
    return facts


# ---- both ---------------------------------------------------------------------------------------


def write_report(
    html: Path,
    title: str,
    subtitle: str,
    report: LoopbackReport | GlassReport,
    rows: dict[str, LatencyFigures],
    facts: dict[str, str],
    force: bool,
) -> None:
    from bunraku.measure.html_report import machine_facts, write_html

    write_html(
        html,
        title=title,
        subtitle=subtitle,
        series=report.series,
        rows={name.strip(): figures for name, figures in rows.items()},
        facts={**facts, **machine_facts(report.machine)},
        notes=report.notes,
        overwrite=force,
    )


def show(
    report: LoopbackReport | GlassReport,
    rows: dict[str, LatencyFigures],
    facts: dict[str, str],
    html: Path | None,
    as_json: bool,
) -> None:
    if as_json:
        files: dict[str, Any] = {} if html is None else {"html": str(html)}
        print_json({**report.as_dict(), "files": files})
        return
    lines = {
        name: f"p50 {f.p50:.3f}  p95 {f.p95:.3f}  p99 {f.p99:.3f}  jitter {f.jitter:.3f}"
        f"  from {f.min:.3f} to {f.max:.3f} ms"
        for name, f in rows.items()
    }
    print_table("bunraku measure", {**lines, **facts}, "\n".join(report.notes))
    if html is not None:
        typer.echo(f"report: {html}")
