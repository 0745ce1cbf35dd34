"""`bunraku live --demo`: voice and picture through the engine, whatever devices are here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bunraku.cli.reporting import show_report
from bunraku.cli.signals import terminate_like_interrupt
from bunraku.cli.terminal_view import working
from bunraku.errors import BunrakuError, DeviceError, MediaError, UserInputError

if TYPE_CHECKING:
    from bunraku.cli.performance_view import PerformanceView
    from bunraku.formats.performance_shape import PerformancePreset
    from bunraku.measure.picture_pair import NewestFrame
    from bunraku.session.endpoints import DeviceBuffer
    from bunraku.session.live_report import LiveReport
    from bunraku.session.open_performance import OpenedPerformance, Wanted
    from bunraku.session.performance import Performance

FOLDER = Path("demo-output")
FILM = FOLDER / "performance.mp4"
SECONDS = 15.0
PICTURE_SECONDS = 60.0
LOOKS = (("background_blur", "neural"), ("neural",), ())
"""Tried in turn: the first needs a model that is fetched, which may not be possible here."""
SETTINGS: dict[str, dict[str, float]] = {"neural": {"strength": 0.7}}
"""At full strength the paint is blotchy on a face that is small in the picture, the more so where a
busy machine lowers the quality."""


@dataclass(frozen=True)
class Devices:
    """What of them is used; else the bundled speech, the bundled portrait."""

    sound: bool
    camera: bool


def run_demo(
    model: str, block: int, effects: list[str], buffer: DeviceBuffer, as_json: bool
) -> None:
    """On microphone, speakers and camera as far as they are there, or with DEMO=file on bundled
    media. Writes into its own folder, over what an earlier demo left there."""
    devices = choose_devices(os.environ.get("DEMO", ""))
    FOLDER.mkdir(exist_ok=True)
    preset = demo_preset(model, block, effects, devices)
    performance, captured = play(preset, buffer, SECONDS if devices.sound else None)
    report = performance.report()
    voice = report.voice
    assert voice is not None, "the demo has a voice"
    with working("drawing the pictures ..."):
        draw(performance, voice, " + ".join([voice.model, *effects]))
        draw_picture(captured)
    with (FOLDER / "report.json").open("w") as file:
        json.dump(report.as_dict(), file, indent=2)
    from bunraku.cli.performance_view import print_report

    media = [path for path in sorted(FOLDER.iterdir()) if path.name != "report.json"]
    show_report(report, {path.stem: path for path in media}, print_report, as_json)
    performance.check_recordings()


def choose_devices(wanted: str) -> Devices:
    """Raises UserInputError for a word it does not know, DeviceError where a device is demanded."""
    if wanted not in {"", "file", "live"}:
        raise UserInputError(f"DEMO is '{wanted}': use file, live, or leave it out")
    if wanted == "file":
        return Devices(sound=False, camera=False)
    try:
        check_sound()
    except (DeviceError, ImportError) as error:
        if wanted == "live":
            raise
        typer.echo(f"· {error}", err=True)
        typer.echo("· bundled speech instead of the microphone", err=True)
        return Devices(sound=False, camera=False)
    typer.echo("· speak: you hear yourself for 15 s (use headphones)", err=True)
    return Devices(sound=True, camera=has_camera())


def check_sound() -> None:
    """Raises DeviceError unless there is something to hear and something to play on."""
    from bunraku.io.audio_devices import choose_device, list_devices

    devices = list_devices()
    choose_device(None, "input", devices)
    choose_device(None, "output", devices)


def has_camera() -> bool:
    try:
        from bunraku.io.video_open import open_source
        from bunraku.io.video_specs import CameraSpec

        open_source(CameraSpec()).stop()
    except (BunrakuError, ImportError) as error:
        typer.echo(f"· {error}", err=True)
        typer.echo("· the bundled portrait instead of the camera", err=True)
        return False
    return True


def demo_preset(model: str, block: int, effects: list[str], devices: Devices) -> PerformancePreset:
    from bunraku import samples
    from bunraku.formats import performance_shape as shape

    speech = shape.AudioFile(type="file", file=str(samples.SPEECH_PATH))
    device = shape.Device(type="device")
    voice = shape.Voice(
        model=model,
        source=device if devices.sound else speech,
        sink=device if devices.sound else shape.NoSink(type="none"),
        block_frames=block,
        effects=effects,
    )
    portrait = shape.BuiltInPicture(type="test", picture="portrait")
    camera = shape.Camera(type="camera")
    picture = shape.Picture(source=camera if devices.camera else portrait)
    return shape.PerformancePreset(
        name="demo", voice=voice, picture=picture if has_video() else None
    )


def has_video() -> bool:
    """Whether pictures can be played here; says why not."""
    try:
        from bunraku.packages import opencv, pyav

        opencv("the demo's picture")
        pyav("the demo's recording")
    except ImportError as error:
        typer.echo(f"· {error}", err=True)
        typer.echo("· a voice without a picture", err=True)
        return False
    return True


def play(
    preset: PerformancePreset, buffer: DeviceBuffer, seconds: float | None
) -> tuple[Performance, NewestFrame]:
    """To its end. Returns also the last frame as it was captured."""
    from bunraku.cli.performance_view import PerformanceView
    from bunraku.measure.picture_pair import NewestFrame
    from bunraku.session.open_performance import Wanted

    view = PerformanceView("bunraku demo")
    wanted = Wanted(
        record_to=FILM if preset.picture else None,
        overwrite=True,
        seconds=seconds,
        record_voice_to=FOLDER / "output.wav",
        keep_seconds=PICTURE_SECONDS,
        device_buffer=buffer,
    )
    captured = NewestFrame()
    with terminate_like_interrupt(), view:
        opened = open_with_effects(preset, wanted, view)
        try:
            if opened.performance.picture is not None:
                opened.performance.picture.watch_source(captured)
            with opened as performance:
                performance.wait(on_tick=view.tick)
        except KeyboardInterrupt:
            view.say("ending")
        finally:
            opened.close()
    return opened.performance, captured


def open_with_effects(
    preset: PerformancePreset, wanted: Wanted, view: PerformanceView
) -> OpenedPerformance:
    """With the first of `LOOKS` that opens here; says why where it is not the first."""
    from bunraku.cli.performing import open_prepared

    if preset.picture is None:
        return open_prepared(preset, None, wanted, view)
    for look in LOOKS[:-1]:
        try:
            opened = open_prepared(with_look(preset, look), None, wanted, view)
        except BunrakuError as error:
            view.say(str(error))
        else:
            view.say(f"effects: {', '.join(look)}")
            return opened
    return open_prepared(with_look(preset, LOOKS[-1]), None, wanted, view)


def with_look(preset: PerformancePreset, look: tuple[str, ...]) -> PerformancePreset:
    from bunraku.formats.performance_shape import Effect

    assert preset.picture is not None, "there is a picture"
    effects = [Effect.model_validate({"type": name, **SETTINGS.get(name, {})}) for name in look]
    picture = preset.picture.model_copy(update={"effect": effects})
    return preset.model_copy(update={"picture": picture})


def draw(performance: Performance, report: LiveReport, what: str) -> None:
    """The spectrogram of input and output, the latency taken out of the output."""
    if performance.voice is None or report.blocks == 0:
        return
    from bunraku.measure.spectrogram import save_aligned

    save_aligned(
        FOLDER / "spectrogram.png",
        *performance.voice.kept(),
        late_frames=report.declared.frames,
        sample_rate_hz=report.sample_rate_hz,
        title=f"bunraku · {what}",
    )


def draw_picture(captured: NewestFrame) -> None:
    """The last picture as it was captured, beside what became of it."""
    if captured.frame is None:
        return
    from bunraku.measure.picture_pair import save_picture_pair

    pair = FOLDER / "picture.jpg"
    pair.unlink(missing_ok=True)
    try:
        save_picture_pair(captured.frame.pixels, FILM, pair)
    except MediaError as error:  # ended before there was a second picture
        typer.echo(f"· {error}", err=True)
