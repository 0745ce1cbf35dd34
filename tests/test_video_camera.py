"""Cameras by name, number and path; what happens when one goes away. No camera is needed: a .y4m
file is one to OpenCV, and a stand-in plays the failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import DeviceError, UserInputError
from bunraku.io.camera import Camera
from bunraku.io.camera_names import choose_camera, list_cameras
from bunraku.io.video_specs import CameraSpec
from bunraku.streaming.video_frame import VideoFrame

NO_PAUSES = (0.0, 0.0, 0.0)


class StandIn:
    """What cv2.VideoCapture is to the camera: `frames` in turn, then it is gone. A frame that is
    None is damaged."""

    def __init__(self, frames: list[Any]) -> None:
        self._frames = list(frames)
        self._now: Any = None
        self.released = False

    def grab(self) -> bool:
        if not self._frames:
            return False
        self._now = self._frames.pop(0)
        time.sleep(0.0002)
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return self._now is not None, self._now

    def get(self, _: int) -> float:
        return 30.0

    def release(self) -> None:
        self.released = True


def picture(value: int = 0, size: tuple[int, int] = (64, 48)) -> Any:
    return np.full((size[1], size[0], 3), value, np.uint8)


def plays(*takes: list[Any]) -> tuple[Callable[[CameraSpec], StandIn], list[StandIn]]:
    """Each opening gives the next take; afterwards there is no such camera."""
    left, opened = list(takes), []

    def open_capture(spec: CameraSpec) -> StandIn:
        if not left:
            raise DeviceError(f"camera {spec.device} cannot be opened")
        opened.append(StandIn(left.pop(0)))
        return opened[-1]

    return open_capture, opened


def run_to_end(camera: Camera) -> list[VideoFrame]:
    frames: list[VideoFrame] = []
    camera.start(frames.append)
    end = time.monotonic() + 20
    while not camera.ended and time.monotonic() < end:
        time.sleep(0.002)
    camera.stop()
    return frames


def test_a_camera_that_comes_back_goes_on() -> None:
    said: list[str] = []
    first, second = [picture(n) for n in range(6)], [picture(9, (32, 24))] * 3
    open_capture, opened = plays(first, second)
    camera = Camera(CameraSpec(2), said.append, open_capture=open_capture, pauses_s=NO_PAUSES)
    frames = run_to_end(camera)
    assert [frame.number for frame in frames] == list(range(8))  # the first picture told the size
    assert {frame.size for frame in frames} == {(64, 48)}
    assert said[:2] == ["camera 2 gives no picture; trying again in 0 s", "camera 2 is back"]
    assert isinstance(camera.error, DeviceError)
    assert "camera 2 gives no picture any more (3 tries)" in str(camera.error)
    assert all(capture.released for capture in opened)


def test_trust_returns_with_good_frames() -> None:
    takes = [[picture()] * 32 for _ in range(6)]
    open_capture, opened = plays(*takes)
    camera = Camera(CameraSpec(), open_capture=open_capture, pauses_s=NO_PAUSES)
    assert len(run_to_end(camera)) == 6 * 32 - 1
    assert len(opened) == 6


def test_damaged_frames_are_left_out_and_counted() -> None:
    good = picture()
    bad = [None, np.zeros((48, 64, 4), np.uint8), np.zeros((48, 64, 3), np.float32)]
    open_capture, _ = plays([good, good, *bad, good, np.zeros((48, 64), np.uint8)])
    camera = Camera(CameraSpec(), open_capture=open_capture, pauses_s=())
    frames = run_to_end(camera)
    assert camera.corrupt == 3
    assert len(frames) == 3  # grey is made three channels
    assert frames[2].pixels.shape == (48, 64, 3)


def test_damaged_frames_alone_count_as_lost() -> None:
    said: list[str] = []
    open_capture, _ = plays([picture()] + [None] * 100, [picture()] * 5)
    camera = Camera(CameraSpec(), said.append, open_capture=open_capture, pauses_s=(0.0,))
    assert len(run_to_end(camera)) == 5
    assert camera.corrupt == 30
    assert "camera 0 is back" in said


def test_the_time_is_taken_when_grabbed() -> None:
    open_capture, _ = plays([picture()] * 5)
    before = time.monotonic_ns()
    camera = Camera(CameraSpec(), open_capture=open_capture, pauses_s=())
    times = [frame.time_ns for frame in run_to_end(camera)]
    assert times == sorted(times)
    assert before < times[0]
    assert times[-1] < time.monotonic_ns()


def test_a_camera_without_a_picture_is_refused() -> None:
    open_capture, opened = plays([None] * 100)
    with pytest.raises(DeviceError, match="opens but gives no picture; is another program"):
        Camera(CameraSpec(), open_capture=open_capture)
    assert opened[0].released


def test_stop_interrupts_a_pause() -> None:
    open_capture, _ = plays([picture()] * 3)
    waits = threading.Event()
    camera = Camera(
        CameraSpec(), lambda text: waits.set(), open_capture=open_capture, pauses_s=(60.0,)
    )
    camera.start(lambda frame: None)
    assert waits.wait(10)
    began = time.monotonic()
    camera.stop()
    assert time.monotonic() - began < 5
    assert camera.ended
    assert camera.error is None


def test_a_camera_that_was_left_behind_gives_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver hangs for longer than `stop` waits, and then has a picture after all."""
    monkeypatch.setattr("bunraku.io.video_source.JOIN_TIMEOUT_S", 0.01)
    hangs, wakes = threading.Event(), threading.Event()

    class Hanging(StandIn):
        def grab(self) -> bool:
            if len(self._frames) == 2:
                hangs.set()
                assert wakes.wait(20)
            return super().grab()

    said: list[str] = []
    capture = Hanging([picture()] * 4)
    camera = Camera(CameraSpec(), said.append, open_capture=lambda spec: capture, pauses_s=())
    frames: list[VideoFrame] = []
    camera.start(frames.append)
    thread = camera._thread
    assert thread is not None
    assert hangs.wait(20)
    camera.stop()
    camera.stop()
    assert said == ["bunraku-camera still hangs; left behind"]
    assert not capture.released, "the driver is still in it"
    given = len(frames)
    wakes.set()
    thread.join(20)
    assert camera.ended
    assert capture.released
    assert len(frames) == given


def test_a_y4m_file_is_a_camera(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    path = tmp_path / "camera.y4m"
    planes = b"".join(bytes([50 + 40 * k]) * (64 * 48 * 3 // 2) for k in range(3))
    frames = b"".join(b"FRAME\n" + planes[k * 4608 : (k + 1) * 4608] for k in range(3))
    path.write_bytes(b"YUV4MPEG2 W64 H48 F30:1 Ip A1:1 C420mpeg2\n" + frames)
    camera = Camera(CameraSpec(str(path)), pauses_s=NO_PAUSES)
    assert camera.size == (64, 48)
    assert camera.rate_hz == pytest.approx(30.0)
    got = run_to_end_after(camera, 8)
    assert len({int(frame.pixels[0, 0, 0]) for frame in got}) == 3
    assert camera.error is None


def run_to_end_after(camera: Camera, count: int) -> list[VideoFrame]:
    frames: list[VideoFrame] = []
    enough = threading.Event()

    def put(frame: VideoFrame) -> None:
        frames.append(frame)
        if len(frames) == count:
            enough.set()

    camera.start(put)
    assert enough.wait(15)
    camera.stop()
    return frames


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    for node, index, name in (
        ("video0", "0", "HD Webcam C920"),
        ("video1", "1", "HD Webcam C920"),  # its metadata
        ("video2", "0", "Virtual: OBS"),
        ("video10", "0", "HD Webcam C270"),
    ):
        (tmp_path / node).mkdir()
        (tmp_path / node / "index").write_text(f"{index}\n")
        (tmp_path / node / "name").write_text(f"{name}\n")
    return tmp_path


def test_names(sysfs: Path) -> None:
    assert [(c.index, c.name) for c in list_cameras(sysfs)] == [
        (0, "HD Webcam C920"),
        (2, "Virtual: OBS"),
        (10, "HD Webcam C270"),
    ]
    assert choose_camera("obs", sysfs) == 2
    assert choose_camera("C270", sysfs) == 10
    assert choose_camera("7", sysfs) == 7
    assert choose_camera(3, sysfs) == 3
    assert list_cameras(sysfs / "nothing") == []


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("banjo", "'banjo' names no camera; "),
        ("webcam", "fits several cameras: 0 'HD Webcam C920', 10 'HD Webcam C270'"),
        ("/dev/video99", "camera '/dev/video99' does not exist"),
    ],
)
def test_wrong_names_list_what_is_there(sysfs: Path, wanted: str, says: str) -> None:
    with pytest.raises(DeviceError, match=says):
        choose_camera(wanted, sysfs)


def test_no_camera_is_one_clear_line() -> None:
    pytest.importorskip("cv2")
    with pytest.raises(DeviceError, match="camera 77 cannot be opened; is another program") as got:
        Camera(CameraSpec(77))
    assert "\n" not in str(got.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"size": (1, 1)}, "size is"), ({"rate_hz": 0}, "rate_hz is"), ({"format": "M"}, "format is")],
)
def test_wishes_out_of_range(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        CameraSpec(**settings)


def test_a_stopped_camera_starts_again_without_a_word() -> None:
    said: list[str] = []
    open_capture, opened = plays([picture()] * 3000, [picture()] * 3000)
    camera = Camera(CameraSpec(), said.append, open_capture=open_capture)
    for _ in range(2):
        assert len(run_to_end_after(camera, 3)) >= 3
    assert len(opened) == 2
    assert said == []
    camera.start(lambda frame: None)  # there is no third
    end = time.monotonic() + 10
    while not camera.ended and time.monotonic() < end:
        time.sleep(0.002)
    assert isinstance(camera.error, DeviceError)
