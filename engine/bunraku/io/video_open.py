"""The one door to every source and sink: a spec in, what it describes out."""

from __future__ import annotations

from bunraku.errors import UserInputError
from bunraku.io.video_source import Say, VideoSink, VideoSource, say_nothing
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


def open_source(spec: SourceSpec, on_message: Say = say_nothing) -> VideoSource:
    """Opened, so that its size and rate are known, not yet started.

    Raises DeviceError, MediaError, UserInputError or MissingDependencyError.
    """
    if isinstance(spec, CameraSpec):
        from bunraku.io.camera import Camera

        return Camera(spec, on_message)
    if isinstance(spec, FileSpec):
        from bunraku.io.video_file import VideoFile

        return VideoFile(spec, on_message)
    if isinstance(spec, PatternSpec):
        from bunraku.io.pattern import Pattern

        return Pattern(spec)
    if isinstance(spec, PortraitSpec):
        from bunraku.io.portrait import Portrait

        return Portrait(spec)
    raise UserInputError(f"{spec!r} is no video source: give one of the specs in io.video_specs")


def open_sink(spec: SinkSpec, on_message: Say = say_nothing) -> VideoSink:
    """Not yet started; a recording's path is checked here.

    Raises UserInputError or MissingDependencyError; what only starting can tell, `start` raises.
    """
    if isinstance(spec, RecordingSpec):
        from bunraku.io.video_writer import VideoWriter

        return VideoWriter(spec)
    if isinstance(spec, WindowSpec):
        from bunraku.io.window import Window

        return Window(spec, on_message)
    if isinstance(spec, VirtualCameraSpec):
        from bunraku.io.virtual_camera import VirtualCamera

        return VirtualCamera(spec, on_message)
    raise UserInputError(f"{spec!r} is no video sink: give one of the specs in io.video_specs")
