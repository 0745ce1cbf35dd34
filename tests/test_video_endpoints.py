"""What every source and every sink keeps to, and the errors of those that need a device."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bunraku.errors import BunrakuError, DeviceError, MissingDependencyError, UserInputError
from bunraku.io.camera import Camera
from bunraku.io.video_open import open_sink, open_source
from bunraku.io.video_source import NewestFrameSink, VideoSink, VideoSource
from bunraku.io.video_specs import (
    CameraSpec,
    FileSpec,
    PatternSpec,
    PortraitSpec,
    RecordingSpec,
    VirtualCameraSpec,
    WindowSpec,
)
from bunraku.streaming.video_frame import VideoFrame
from test_video_camera import StandIn, picture

SIZE = (64, 48)


def bunraku_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("bunraku-")]


def within(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


# ---- sources ------------------------------------------------------------------------------------


def make_source(kind: str, folder: Path) -> VideoSource:
    if kind == "camera":
        return Camera(CameraSpec(), open_capture=lambda spec: StandIn([picture()] * 100_000))
    if kind == "test":
        return open_source(PatternSpec(SIZE, 60.0))
    if kind == "file":
        return open_source(FileSpec(clip(folder), loop=True))
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(folder / "still.png"), np.full((60, 80, 3), 90, np.uint8))
    return open_source(PortraitSpec(folder / "still.png", SIZE, 60.0))


def clip(folder: Path) -> Path:
    pytest.importorskip("av")
    writer = open_sink(RecordingSpec(folder / "clip.mp4", overwrite=True))
    writer.start()
    for number in range(10):
        writer.show(VideoFrame(picture(number), round(number * 1e9 / 30), number))
    writer.stop()
    assert writer.error is None
    return folder / "clip.mp4"


SOURCES = ["camera", "file", "portrait", "test"]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_starts_and_stops_twice(kind: str, tmp_path: Path) -> None:
    source = make_source(kind, tmp_path)
    assert not source.ended
    source.stop()  # before any start
    for _ in range(2):
        frames: list[VideoFrame] = []
        source.start(frames.append)
        source.start(frames.append)  # while it runs: nothing
        assert len(bunraku_threads()) == 1
        assert within(lambda got=frames: len(got) >= 3)  # type: ignore[misc]
        source.stop()
        source.stop()
        assert bunraku_threads() == []
        count = len(frames)
        time.sleep(0.05)
        assert len(frames) == count
        assert [f.number for f in frames[:1]] == [0]
        assert frames[0].size == source.size == SIZE
        assert source.ended
        assert source.error is None


@pytest.mark.parametrize("kind", SOURCES)
def test_a_put_that_fails_ends_the_source_with_an_error(kind: str, tmp_path: Path) -> None:
    source = make_source(kind, tmp_path)

    def put(frame: VideoFrame) -> None:
        raise ZeroDivisionError("in the session")

    source.start(put)
    assert within(lambda: source.ended)
    source.stop()
    assert isinstance(source.error, BunrakuError)
    assert "ZeroDivisionError" in str(source.error)
    assert bunraku_threads() == []


@pytest.mark.parametrize("kind", ["file", "portrait", "test"])
def test_a_source_drops_what_is_late(kind: str, tmp_path: Path) -> None:
    source = make_source(kind, tmp_path)
    source.start(lambda frame: time.sleep(0.12))
    assert within(lambda: source.dropped >= 3)
    source.stop()


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_may_be_stopped_from_its_own_thread(kind: str, tmp_path: Path) -> None:
    source = make_source(kind, tmp_path)
    source.start(lambda frame: source.stop())
    assert within(lambda: source.ended and not bunraku_threads())


# ---- sinks --------------------------------------------------------------------------------------


class FakeCameraDevice:
    """pyvirtualcam.Camera without a driver."""

    def __init__(self, **settings: Any) -> None:
        self.device = "/dev/video9"
        self.sent: list[Any] = []
        self.busy = threading.Event()
        self.busy.set()

    def send(self, pixels: Any) -> None:
        self.busy.wait(10)
        if (pixels[0, 0] == 66).all():
            raise RuntimeError("the device went away")
        self.sent.append(pixels)

    def close(self) -> None:
        self.sent = []


class FakeOpenCv(SimpleNamespace):
    """The window functions of cv2 without a display."""

    WINDOW_NORMAL = WND_PROP_VISIBLE = 0
    error = RuntimeError

    def __init__(self) -> None:
        super().__init__(visible=1.0)

    def namedWindow(self, title: str, flags: int) -> None: ...
    def imshow(self, title: str, pixels: Any) -> None:
        if (pixels[0, 0] == 66).all():
            raise ValueError("the display went away")

    def waitKey(self, ms: int) -> int:
        return -1

    def getWindowProperty(self, title: str, what: int) -> float:
        return self.visible

    def destroyWindow(self, title: str) -> None: ...


def make_sink(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> VideoSink:
    if kind == "recording":
        pytest.importorskip("av")
        return open_sink(RecordingSpec(folder / "out.mp4"))
    if kind == "window":
        monkeypatch.setattr("bunraku.io.window.opencv", lambda purpose: FakeOpenCv())
        monkeypatch.setattr("bunraku.io.window.check_display", lambda: None)
        return open_sink(WindowSpec())
    package = SimpleNamespace(Camera=FakeCameraDevice, PixelFormat=SimpleNamespace(BGR="BGR"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", package)
    return open_sink(VirtualCameraSpec(SIZE))


SINKS = ["recording", "virtual camera", "window"]


@pytest.mark.parametrize("kind", SINKS)
def test_a_sink_starts_and_stops_twice(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make_sink(kind, tmp_path, monkeypatch)
    sink.stop()
    frames = [VideoFrame(picture(n), n * 33_000_000, n) for n in range(8)]
    sink.show(frames[0])
    assert (sink.shown, sink.dropped) == (0, 1)  # nobody shows it
    sink.start()
    sink.start()
    assert len(bunraku_threads()) == 1
    for frame in frames[1:4]:
        before = sink.shown
        sink.show(frame)
        assert within(lambda seen=before: sink.shown > seen)  # type: ignore[misc]
    sink.stop()
    sink.stop()
    assert bunraku_threads() == []
    if kind == "recording":
        with pytest.raises(UserInputError, match="finished"):
            sink.start()
    else:
        sink.start()
        sink.show(frames[5])
        assert within(lambda: sink.shown == 4)
        sink.stop()
    assert sink.error is None
    sink.show(frames[6])
    assert sink.dropped == 2
    assert bunraku_threads() == []


@pytest.mark.parametrize("kind", ["virtual camera", "window"])
def test_an_error_ends_the_sink_and_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make_sink(kind, tmp_path, monkeypatch)
    sink.start()
    sink.show(VideoFrame(picture(66), 0, 0))
    assert within(lambda: sink.error is not None and not bunraku_threads())
    assert "went away" in str(sink.error)
    before = sink.dropped
    sink.show(VideoFrame(picture(), 1, 1))
    assert sink.dropped == before + 1
    sink.stop()


def test_the_newest_frame_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink: Any = make_sink("virtual camera", tmp_path, monkeypatch)
    sink.start()
    assert sink.device == "/dev/video9"
    sink._camera.busy.clear()
    sink.show(VideoFrame(picture(0), 0, 0))
    assert within(lambda: sink._mailbox._item is None)
    for number in range(1, 6):
        sink.show(VideoFrame(picture(number, (32, 24)), number, number))
    camera = sink._camera
    camera.busy.set()
    assert within(lambda: len(camera.sent) == 2)
    assert [int(pixels[0, 0, 0]) for pixels in camera.sent] == [0, 5]
    assert camera.sent[1].shape == (48, 64, 3)  # as other programs expect it
    assert sink.dropped == 4
    sink.stop()


def test_a_closed_window_shows_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink: Any = make_sink("window", tmp_path, monkeypatch)
    sink.start()
    sink._cv2.visible = 0.0
    assert within(lambda: sink.closed and not bunraku_threads())
    assert sink.error is None
    sink.show(VideoFrame(picture(), 0, 0))
    assert sink.dropped == 1
    sink.stop()


def test_a_sink_that_cannot_open_says_so_from_start() -> None:
    class Broken(NewestFrameSink):
        def _open(self) -> None:
            raise DeviceError("no such thing; get one")

        def _present(self, frame: VideoFrame) -> None: ...

    sink = Broken()
    for _ in range(2):
        with pytest.raises(DeviceError, match="get one"):
            sink.start()
    assert bunraku_threads() == []


# ---- what is not there --------------------------------------------------------------------------


def test_without_a_driver_the_virtual_camera_tells_what_to_install() -> None:
    pytest.importorskip("pyvirtualcam")
    sink = open_sink(VirtualCameraSpec(device="/dev/video99"))
    remedy = "v4l2loopback" if sys.platform.startswith("linux") else "OBS"
    with pytest.raises(DeviceError, match=f"no virtual camera .*{remedy}"):
        sink.start()
    assert isinstance(sink.error, DeviceError)
    assert bunraku_threads() == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DISPLAY is X11's")
@pytest.mark.parametrize(
    ("display", "says"),
    [("", "there is no display"), (":987", "no window can be opened on display :987")],
)
def test_without_a_display(monkeypatch: pytest.MonkeyPatch, display: str, says: str) -> None:
    pytest.importorskip("cv2")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(DeviceError, match=says):
        open_sink(WindowSpec()).start()
    assert bunraku_threads() == []


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("cv2", lambda folder: open_source(CameraSpec())),
        ("cv2", lambda folder: open_sink(WindowSpec())),
        ("av", lambda folder: open_source(FileSpec(__file__))),
        ("av", lambda folder: open_sink(RecordingSpec(folder / "a.mp4"))),
        ("pyvirtualcam", lambda folder: open_sink(VirtualCameraSpec())),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(
    module: str, make: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == module:
            raise ImportError(f"No module named '{name}'")
        return real(name, package)

    monkeypatch.setattr("bunraku.packages.importlib.import_module", without)
    remedy = r"pip install 'bunraku\[(video|virtualcam)\]'"
    with pytest.raises(MissingDependencyError, match=remedy):
        make(tmp_path)


def test_importing_needs_no_heavy_package() -> None:
    names = ["open", "file", "file_audio", "reader", "writer", "muxer", "specs", "source"]
    modules = [f"bunraku.io.video_{name}" for name in names]
    modules += [f"bunraku.io.{name}" for name in ("camera", "portrait", "pattern", "window")]
    modules += [f"bunraku.io.virtual_{name}" for name in ("camera", "microphone")]
    code = (
        f"import sys, {', '.join(modules)}\n"
        "heavy = {'cv2', 'av', 'pyvirtualcam', 'sounddevice', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("call", [open_source, open_sink])
def test_something_else_is_refused(call: Callable[[Any], object]) -> None:
    with pytest.raises(UserInputError, match=r"io\.video_specs"):
        call("camera")
