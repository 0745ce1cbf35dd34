"""`bunraku live`: a voice through a model, now."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bunraku.cli.demo import run_demo
from bunraku.cli.output_files import refuse_existing
from bunraku.cli.performing import Ending, perform_preset
from bunraku.cli.reporting import JSON_OPTION, show_report
from bunraku.cli.signals import terminate_like_interrupt
from bunraku.cli.terminal_view import working
from bunraku.errors import UserInputError

if TYPE_CHECKING:
    from bunraku.session.endpoints import DeviceBuffer, Sink, Source
    from bunraku.session.live_report import LiveReport
    from bunraku.session.live_session import LiveSession

PICTURE_SECONDS = 60.0
NO_DEVICE = "none"
FIRST_MODEL = "radio"
"""Of the default pack; what is heard when no model is named."""
GO_WITH_A_PRESET = ("preset", "seconds", "out", "force", "buffer", "as_json")
"""Parameters of `live`; all else is the preset's to say."""


@dataclass(frozen=True)
class Wishes:
    """What the command line asked for."""

    model: str
    source: Source
    sink: Sink
    out: Path | None
    picture: Path | None
    block: int
    rate: int | None
    seconds: float | None
    channels: int
    size: float
    effects: tuple[str, ...]
    real_time: bool
    device_buffer: DeviceBuffer
    reconnect: bool
    overwrite: bool


def register(app: typer.Typer) -> None:
    app.command()(live)


def live(
    context: typer.Context,
    preset: Path | None = typer.Argument(
        None,
        help="A performance preset (.toml): voice, picture, sinks. Only --seconds, --out, --force,"
        " --buffer and --json go with it; --model and the rest say all where there is none.",
    ),
    model: str | None = typer.Option(
        None, "--model", "-m", help="A .nam, .bnk or preset, or a name of the default pack."
    ),
    input_name: str | None = typer.Option(None, "--input", help="Microphone: name part or number."),
    output_name: str | None = typer.Option(
        None, "--output", help="Speakers: name part or number; 'none' only records."
    ),
    source: Path | None = typer.Option(None, "--source", help="Play this file, not a microphone."),
    loop: bool = typer.Option(False, "--loop", help="Play the file again and again."),
    out: Path | None = typer.Option(
        None, "--out", help="Record the output here; a spectrogram .png is written beside it."
    ),
    block: int = typer.Option(256, "--block", help="Frames in a block."),
    rate: int | None = typer.Option(
        None, "--rate", help="Sample rate in Hz; the device's if left out."
    ),
    seconds: float | None = typer.Option(None, "--seconds", help="End after so many seconds."),
    channels: int = typer.Option(1, "--channels", help="Voices: 1, or 2 for stereo."),
    size: float = typer.Option(1.0, "--size", help="Of a slimmable model, 0 to 1."),
    effect: list[str] = typer.Option([], "--effect", help="A Python effect after it; repeatable."),
    fast: bool = typer.Option(False, "--fast", help="A file as fast as it goes, not in real time."),
    buffer: str = typer.Option(
        "high", "--buffer", help="The device holds this much ahead: low, high, or milliseconds."
    ),
    reconnect: bool = typer.Option(True, help="Wait for a lost device, or end."),
    force: bool = typer.Option(False, "--force", help="Overwrite --out if it exists."),
    demo: bool = typer.Option(
        False, "--demo", help="15 s on microphone and speakers, else (or DEMO=file) bundled speech."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Play live: a whole performance from a preset, or a voice through a model."""
    if preset is not None:
        refuse_all_but(context, GO_WITH_A_PRESET)
        ending = Ending(seconds, out, force, device_buffer_of(buffer))
        perform_preset(preset, ending, as_json)
        return
    if demo:
        run_demo(model or default_model(), block, effect, device_buffer_of(buffer), as_json)
        return
    wishes = Wishes(
        model=model or default_model(),
        source=source_of(source, input_name, loop),
        sink=sink_of(source, output_name, out),
        out=out,
        picture=None if out is None else out.with_suffix(".png"),
        block=block,
        rate=rate,
        seconds=seconds,
        channels=channels,
        size=size,
        effects=tuple(effect),
        real_time=not fast,
        device_buffer=device_buffer_of(buffer),
        reconnect=reconnect,
        overwrite=force,
    )
    report = perform(wishes)
    from bunraku.cli.live_view import print_report

    files = {"recording": wishes.out, "spectrogram": wishes.picture}
    show_report(report, files, print_report, as_json)


def refuse_all_but(context: typer.Context, names: tuple[str, ...]) -> None:
    """Raises UserInputError that lists what else was given on the command line."""
    given = [
        (parameter.secondary_opts if context.params[parameter.name] is False else parameter.opts)[0]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in names
        and given_by(context, parameter.name) == "COMMANDLINE"
    ]
    if given:
        raise UserInputError(
            f"a preset says this itself: leave out {', '.join(given)}, or change the preset"
        )


def given_by(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return "" if source is None else source.name


def source_of(source: Path | None, input_name: str | None, loop: bool) -> Source:
    from bunraku.session.endpoints import DeviceEndpoint, FileEndpoint

    if source is not None and input_name is not None:
        raise UserInputError("--source and --input exclude each other: give one")
    return FileEndpoint(source, loop) if source is not None else DeviceEndpoint(input_name)


def sink_of(source: Path | None, output_name: str | None, out: Path | None) -> Sink:
    """Speakers, unless a file goes to a file or --output none says so."""
    from bunraku.session.endpoints import DeviceEndpoint

    if output_name == NO_DEVICE or (output_name is None and source is not None and out is not None):
        return None
    return DeviceEndpoint(output_name)


def device_buffer_of(text: str) -> DeviceBuffer:
    """ "low", "high", or milliseconds as seconds. Raises UserInputError."""
    if text == "low":
        return "low"
    if text == "high":
        return "high"
    try:
        return float(text) / 1e3
    except ValueError:
        raise UserInputError(f"--buffer is '{text}': use low, high, or milliseconds") from None


def default_model() -> str:
    """`FIRST_MODEL`, else the pack's first. Raises UserInputError when the pack is empty."""
    from bunraku.effects.audio.native_model import pack_names

    names = pack_names()
    if not names:
        raise UserInputError("no default pack is installed here: name a model with --model FILE")
    return FIRST_MODEL if FIRST_MODEL in names else names[0]


# ---- playing ------------------------------------------------------------------------------------


def perform(wishes: Wishes) -> LiveReport:
    """Play until the end, `seconds`, or Ctrl-C; write recording and picture."""
    from bunraku.cli.live_view import LiveView
    from bunraku.session.live_session import LiveSession

    for file in (wishes.out, wishes.picture):
        refuse_existing(file, "--out", wishes.overwrite)
    view = LiveView(f"bunraku live: {Path(wishes.model).name}, blocks of {wishes.block} frames")
    session = LiveSession(
        wishes.model,
        source=wishes.source,
        sink=wishes.sink,
        block_frames=wishes.block,
        sample_rate_hz=wishes.rate,
        channels=wishes.channels,
        size=wishes.size,
        python_effects=wishes.effects,
        seconds=wishes.seconds,
        record_to=wishes.out,
        overwrite=wishes.overwrite,
        keep_seconds=PICTURE_SECONDS if wishes.picture else 0.0,
        real_time=wishes.real_time,
        device_buffer=wishes.device_buffer,
        reconnect=wishes.reconnect,
        on_message=view.say,
    )
    with terminate_like_interrupt(), view, session:
        try:
            session.wait(on_tick=view.tick)
        except KeyboardInterrupt:
            view.say("ending")
    session.check_recording()
    report = session.report()
    with working("drawing the spectrogram ...") if wishes.picture else nullcontext():
        draw(session, wishes, report)
    return report


def draw(session: LiveSession, wishes: Wishes, report: LiveReport) -> None:
    """The spectrogram of input and output, the latency taken out of the output."""
    if wishes.picture is None or report.blocks == 0:
        return
    from bunraku.measure.spectrogram import save_aligned

    save_aligned(
        wishes.picture,
        *session.kept(),
        late_frames=report.declared.frames,
        sample_rate_hz=report.sample_rate_hz,
        title=f"bunraku · {' + '.join([report.model, *wishes.effects])}",
    )
