"""A camera through OpenCV. One that vanishes or sends damaged frames is opened again, with growing
pauses, before it is given up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bunraku.errors import DeviceError
from bunraku.io.camera_names import at_hand, choose_camera
from bunraku.io.video_source import Put, Say, VideoSource, say_nothing
from bunraku.io.video_specs import LEAST_RATE_HZ, MOST_RATE_HZ, MOST_SIDE, CameraSpec
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels, VideoFrame

RETRY_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0)
MOST_BAD_FRAMES = 30
GOOD_FRAMES_FOR_TRUST = 30
READ_TIMEOUT_MS = 1000

OpenCapture = Callable[[CameraSpec], Any]


class Camera(VideoSource):
    """The time of a frame is taken right after it was grabbed, before it is decoded.

    size, rate_hz: what the camera really gives, near the wish or not. open_capture: gives an object
    as cv2.VideoCapture is. pauses_s: before each new try once the camera was lost.

    Raises DeviceError when it cannot be opened or gives no picture.
    """

    thread_name = "bunraku-camera"

    def __init__(
        self,
        spec: CameraSpec,
        on_message: Say = say_nothing,
        *,
        open_capture: OpenCapture | None = None,
        pauses_s: Sequence[float] = RETRY_PAUSES_S,
    ) -> None:
        self.spec = spec
        self._name = f"camera {spec.device}"
        self._pauses_s = tuple(pauses_s)
        self._open_capture = open_capture or open_camera
        self._capture: Any = self._open_capture(spec)
        first = self._first_picture()
        rate_hz = float(self._capture.get(CAP_PROP_FPS) or 0.0)
        if not LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ:
            rate_hz = spec.rate_hz
        super().__init__((first.shape[1], first.shape[0]), rate_hz, on_message)

    def _first_picture(self) -> Pixels:
        for _ in range(MOST_BAD_FRAMES):
            if not self._capture.grab():
                break
            picture = self._decoded()
            if picture is not None:
                return picture
        self._close()
        raise DeviceError(
            f"{self._name} opens but gives no picture; is another program using it?"
            " close that, or plug the camera in again"
        )

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        number, tries = 0, 0
        if self._capture is None:  # started again
            self._capture = self._open_capture(self.spec)
        while not stopping.is_set():
            if self._capture is not None:
                before = number
                number = self._give_frames(put, stopping, number, tries > 0)
                tries = 0 if number - before >= GOOD_FRAMES_FOR_TRUST else tries
                self._close()
                if stopping.is_set():
                    return
            if tries == len(self._pauses_s):
                raise DeviceError(
                    f"{self._name} gives no picture any more ({tries} tries); plug it in again"
                    " and start once more"
                )
            pause_s = self._pauses_s[tries]
            tries += 1
            self._say(f"{self._name} gives no picture; trying again in {pause_s:g} s")
            if stopping.wait(pause_s):
                return
            self._try_to_open()

    def _give_frames(self, put: Put, stopping: threading.Event, number: int, was_lost: bool) -> int:
        """Until the camera fails; the number of the next frame."""
        bad = 0
        while not stopping.is_set() and bad < MOST_BAD_FRAMES:
            if not self._capture.grab():
                return number
            time_ns = time.monotonic_ns()
            picture = self._decoded()
            if picture is None:
                self.corrupt += 1
                bad += 1
            else:
                bad = 0
                if was_lost:
                    self._say(f"{self._name} is back")
                    was_lost = False
                put(VideoFrame(self._fitted(picture), time_ns, number))
                number += 1
        return number

    def _decoded(self) -> Pixels | None:
        """The grabbed frame, or None when it is damaged."""
        good, picture = self._capture.retrieve()
        if not good or picture is None or picture.dtype != np.uint8 or 0 in picture.shape:
            return None
        if max(picture.shape[:2]) > MOST_SIDE:
            return None
        if picture.ndim == 2 or picture.shape[2] == 1:
            picture = np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
        if picture.ndim != 3 or picture.shape[2] != 3:
            return None
        return np.ascontiguousarray(picture)

    def _fitted(self, picture: Pixels) -> Pixels:
        """A camera may come back with another size."""
        if (picture.shape[1], picture.shape[0]) == self.size:
            return picture
        fitted: Pixels = opencv("cameras").resize(picture, self.size)
        return fitted

    def _try_to_open(self) -> None:
        try:
            self._capture = self._open_capture(self.spec)
        except DeviceError:
            self._capture = None

    def _close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()


CAP_PROP_FPS = 5  # OpenCV's number, so that a stand-in for a camera needs no OpenCV


def open_camera(spec: CameraSpec) -> Any:
    """A cv2.VideoCapture with what `spec` wishes. Raises DeviceError that lists the cameras."""
    cv2 = opencv("cameras")
    device = choose_camera(spec.device)
    is_file = isinstance(device, str) and not device.startswith("/dev/")
    api = cv2.CAP_V4L2 if sys.platform.startswith("linux") and not is_file else cv2.CAP_ANY
    try:
        capture = cv2.VideoCapture(device, api)
        opened = capture.isOpened()
    except cv2.error:
        opened = False
    if not opened:
        raise DeviceError(
            f"camera {spec.device} cannot be opened; is another program using it? {at_hand()}"
        )
    if not is_file:
        if spec.format is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*spec.format))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, spec.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, spec.size[1])
        capture.set(cv2.CAP_PROP_FPS, spec.rate_hz)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest of four
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS)
    return capture
