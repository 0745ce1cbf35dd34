"""From a performance preset to a performance: devices, files, effects and sinks opened."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.effects.audio.native_model import pack_names
from bunraku.effects.audio.python_effect import catalogue as audio_catalogue
from bunraku.effects.catalogue import kind_named
from bunraku.effects.video.chain import check_networks
from bunraku.effects.video.video_effect import VideoEffect, is_bundled, make_effect, path_settings
from bunraku.effects.video.video_effect import catalogue as video_catalogue
from bunraku.errors import BunrakuError, MediaError, UserInputError
from bunraku.formats.preset import path_beside
from bunraku.io.audio_devices import list_devices
from bunraku.io.audio_files import AudioClip, Samples
from bunraku.io.video_file import VideoFile
from bunraku.io.video_file_audio import read_file_audio
from bunraku.io.video_open import open_sink, open_source
from bunraku.io.video_source import VideoSink, VideoSource
from bunraku.io.video_specs import (
    CameraSpec,
    FileSpec,
    PatternSpec,
    PortraitSpec,
    RecordingSpec,
    SinkSpec,
    SourceSpec,
    VirtualCameraSpec,
    WindowSpec,
)
from bunraku.io.video_writer import VideoWriter
from bunraku.io.virtual_microphone import VirtualMicrophone
from bunraku.samples import PORTRAIT_PATH
from bunraku.scheduler.process_scheduler import borrow_scheduler, give_back
from bunraku.session.endpoints import (
    ClipEndpoint,
    DeviceBuffer,
    DeviceEndpoint,
    FileEndpoint,
    Sink,
    Source,
)
from bunraku.session.live_session import LiveSession
from bunraku.session.performance import Performance
from bunraku.session.performed import Performed
from bunraku.session.video_session import VideoSession

if TYPE_CHECKING:
    from bunraku.formats import performance_shape as shape

Say = Callable[[str], None]
DEFAULT_SOUND_RATE_HZ = 48_000
_numbers = itertools.count(1)
_sessions = itertools.count(1)
LIVE_SINKS = ("window", "virtual_camera")


@dataclass(frozen=True)
class Wanted:
    """What the caller adds to a preset. record_to: an MP4 beside the preset's own sinks. overwrite:
    of the caller's files, not of the preset's. seconds: how long the voice plays. record_voice_to,
    keep_seconds, device_buffer: as LiveSession has them.
    """

    record_to: Path | None = None
    overwrite: bool = False
    seconds: float | None = None
    record_voice_to: Path | None = None
    keep_seconds: float = 0.0
    device_buffer: DeviceBuffer = "high"


class OpenedPerformance:
    """A performance and what was opened for it: `with` starts it and closes all at the end."""

    def __init__(self, performance: Performance, closing: ExitStack) -> None:
        self.performance = performance
        self._closing = closing

    def __enter__(self) -> Performance:
        try:
            self.performance.start()
        except BaseException:
            self.close()
            raise
        return self.performance

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it and let go of everything. Idempotent."""
        try:
            self.performance.stop()
        finally:
            self._closing.close()


def open_performance(
    preset: shape.PerformancePreset,
    path: Path | None = None,
    wanted: Wanted | None = None,
    on_message: Say | None = None,
) -> OpenedPerformance:
    """path: of the preset's file; files it names lie beside it. Raises BunrakuError that names what
    is wrong and the remedy; whatever was open by then is closed."""
    wanted = wanted or Wanted()
    say = on_message or (lambda text: None)
    closing = ExitStack()
    try:
        picture = None if preset.picture is None else open_picture(preset, path, closing, say)
        make_voice = None
        if preset.voice is not None:
            make_voice = voice_maker(preset.voice, path, picture, wanted, closing, say)
        performance = Performance(
            make_voice=make_voice,
            picture=picture,
            keeps_step=any(sink.type in LIVE_SINKS for sink in preset.sink),
            name=preset.name,
            on_message=say,
        )
        closing.callback(performance.stop)
        add_recordings(performance, preset, wanted)
    except BaseException:
        closing.close()
        raise
    return OpenedPerformance(performance, closing)


def check_performance(preset: shape.PerformancePreset, path: Path | None) -> None:
    """What can be said without opening a device: raises UserInputError for a wrong effect, setting
    or file."""
    if preset.picture is not None:
        video_effects(preset.picture.effect, path)
    if preset.voice is not None:
        model_of(preset.voice.model, path)
        for name in preset.voice.effects:
            kind_named(audio_catalogue(), name)


# ---- the picture ---------------------------------------------------------------------------------


def open_picture(
    preset: shape.PerformancePreset, path: Path | None, closing: ExitStack, say: Say
) -> VideoSession:
    assert preset.picture is not None, "the preset has a picture"
    effects = video_effects(preset.picture.effect, path)  # before any device: a word may be wrong
    source = open_source(source_spec(preset.picture.source, path), say)
    closing.callback(source.stop)
    scheduler = borrow_scheduler()
    closing.callback(give_back, scheduler)
    return VideoSession(
        source,
        effects,
        [open_live_sink(sink, source, say) for sink in preset.sink if sink.type in LIVE_SINKS],
        scheduler=scheduler,
        name=f"{preset.name or 'picture'} {next(_sessions)}",  # of the same preset there may be two
        budget_s=preset.picture.latency_ms / 1e3,
        lowest_tiers=lowest_tiers(preset.picture.effect),
        interpolate=preset.picture.interpolate,
        on_message=say,
    )


def source_spec(source: shape.PictureSource, path: Path | None) -> SourceSpec:
    if source.type == "camera":
        size = source.width, source.height
        return CameraSpec(source.name, size, source.rate_hz, source.format)
    if source.type == "file":
        return FileSpec(beside(path, source.file), loop=source.loop)
    size = source.width, source.height
    if source.picture == "portrait":
        return PortraitSpec(PORTRAIT_PATH, size, source.rate_hz)
    return PatternSpec(size, source.rate_hz)


def video_effects(effects: list[shape.Effect], path: Path | None) -> list[VideoEffect]:
    """Not yet open. Raises UserInputError that names effect, setting and range."""
    made = []
    for effect in effects:
        settings = dict(effect.settings)
        for name in path_settings(effect.type):
            value = settings.get(name)
            if isinstance(value, str) and not is_bundled(effect.type, name, value):
                settings[name] = str(effect_file(effect.type, name, value, path))
        made.append(make_effect(effect.type, **settings))
    check_networks(made)
    return made


def effect_file(effect: str, setting: str, file: str, path: Path | None) -> Path:
    """Raises BunrakuError; of an effect with which something comes along it lists that."""
    known = kind_named(video_catalogue(), effect).bundled(setting)
    try:
        return beside(path, file)
    except BunrakuError as error:
        if not known:
            raise
        raise UserInputError(f"{error}; {effect} brings {', '.join(known)} along") from error


def lowest_tiers(effects: list[shape.Effect]) -> dict[str, str]:
    """By the chain's names: the second of a kind has a number."""
    lowest: dict[str, str] = {}
    seen: dict[str, int] = {}
    for effect in effects:
        seen[effect.type] = seen.get(effect.type, 0) + 1
        number = seen[effect.type]
        if effect.lowest_tier is not None:
            lowest[effect.type if number == 1 else f"{effect.type} {number}"] = effect.lowest_tier
    return lowest


def open_live_sink(sink: shape.Sink, source: VideoSource, say: Say) -> VideoSink:
    spec: SinkSpec = WindowSpec()
    if sink.type == "virtual_camera":
        spec = VirtualCameraSpec(source.size, source.rate_hz)
    return open_sink(spec, say)


def beside(preset: Path | None, file: str) -> Path:
    """A file that a preset names; of one without a file, from the current folder."""
    if preset is None:
        found = Path(file)
        if not found.is_file():
            raise UserInputError(f"no file {found}; correct the path")
        return found
    return path_beside(preset, file)


# ---- the voice -----------------------------------------------------------------------------------


def voice_maker(
    voice: shape.Voice,
    path: Path | None,
    picture: VideoSession | None,
    wanted: Wanted,
    closing: ExitStack,
    say: Say,
) -> Callable[[Callable[[int, Samples], None], float], LiveSession]:
    source = voice_source(voice, path, picture)
    sink = voice_sink(voice, closing)

    def make(take_output: Callable[[int, Samples], None], most_delay_s: float) -> LiveSession:
        return LiveSession(
            model_of(voice.model, path),
            source=source,
            sink=sink,
            block_frames=voice.block_frames,
            sample_rate_hz=voice.sample_rate_hz,
            channels=voice.channels,
            size=voice.size,
            python_effects=voice.effects,
            seconds=wanted.seconds,
            record_to=wanted.record_voice_to,
            keep_seconds=wanted.keep_seconds,
            overwrite=wanted.overwrite,
            device_buffer=wanted.device_buffer,
            take_output=take_output,
            most_delay_s=most_delay_s,
            on_message=say,
        )

    return make


def model_of(model: str, path: Path | None) -> str | Path:
    return model if model in pack_names() else beside(path, model)


def voice_source(voice: shape.Voice, path: Path | None, picture: VideoSession | None) -> Source:
    source = voice.source
    if source.type == "device":
        return DeviceEndpoint(source.name)
    if source.type == "file":
        return FileEndpoint(beside(path, source.file), source.loop)
    assert picture is not None, "the preset was checked"
    file = picture.source
    assert isinstance(file, VideoFile), "the preset was checked"
    rate = voice.sample_rate_hz or DEFAULT_SOUND_RATE_HZ
    samples = read_file_audio(file.spec.path, rate, seconds=file.duration_s or None)
    if samples is None:
        raise MediaError(
            f"{file.spec.path} has no sound: leave out [voice], or give it another source"
        )
    clip = AudioClip(samples, rate)
    file.round_s = clip.seconds or None
    return ClipEndpoint(clip, file.spec.loop)


def voice_sink(voice: shape.Voice, closing: ExitStack) -> Sink:
    sink = voice.sink
    if sink.type == "none":
        return None
    if sink.type == "device":
        return DeviceEndpoint(sink.name)
    microphone = VirtualMicrophone(sink.name)
    closing.callback(microphone.stop)
    return DeviceEndpoint(microphone.start(list_devices()))


# ---- recordings ----------------------------------------------------------------------------------


def add_recordings(
    performance: Performance, preset: shape.PerformancePreset, wanted: Wanted
) -> None:
    """What the caller names may go anywhere and overwrite; what a preset names may do neither: it
    may be a stranger's."""
    for sink in preset.sink:
        if sink.type == "file":
            performance.record(recording_of(performance, within_current_folder(sink.file)))
    if wanted.record_to is not None:
        performance.record(recording_of(performance, wanted.record_to, wanted.overwrite))


def within_current_folder(file: str) -> Path:
    """Where `file` of a preset is written. Raises UserInputError where it, or a link on the way,
    leads out of the folder."""
    folder = Path.cwd().resolve()
    try:
        path = (folder / file).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle; a name that none can have
        path = None
    if path is None or not path.is_relative_to(folder):
        raise UserInputError(
            f"the preset records to {file}, which is not within {folder}: name a file within the"
            " folder you start from, or use --out"
        )
    return path


def recording_of(performance: Performed, path: Path, overwrite: bool = False) -> VideoWriter:
    """A writer for what this performance shows and plays, not yet started. Of a voice that was not
    heard yet there is nothing to record."""
    picture, voice = performance.picture, performance.voice
    if picture is None:
        raise UserInputError(
            f"{path.name}: a recording of this kind begins with a picture: switch the camera on,"
            " or use 'live --out'"
        )
    spec = RecordingSpec(
        path,
        rate_hz=picture.source.rate_hz,
        sample_rate_hz=voice.sample_rate_hz if voice else None,
        channels=min(2, voice.channels) if voice else 1,
        overwrite=overwrite,
    )
    return VideoWriter(spec)


def recording_name() -> str:
    """For the time of day; two of one second differ."""
    return f"bunraku-{datetime.now():%Y%m%d-%H%M%S}-{next(_numbers)}.mp4"
