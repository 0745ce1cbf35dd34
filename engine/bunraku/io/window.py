"""A window on the screen, through OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from bunraku.errors import DeviceError
from bunraku.io.video_source import NewestFrameSink, Say, say_nothing
from bunraku.io.video_specs import WindowSpec
from bunraku.packages import opencv
from bunraku.streaming.video_frame import VideoFrame

REMEDY = "record to a file, use the virtual camera, or open the web page instead"
PROBE_TIMEOUT_S = 10.0
# A toolkit that cannot reach the display ends its process: better one that nobody needs.
PROBE = "import cv2; cv2.namedWindow('p'); cv2.waitKey(1); cv2.destroyAllWindows()"


class Window(NewestFrameSink):
    """closed: the user closed the window; frames are then dropped. `start` raises DeviceError where
    there is no display."""

    thread_name = "bunraku-window"

    def __init__(self, spec: WindowSpec, on_message: Say = say_nothing) -> None:
        super().__init__(on_message)
        self.spec = spec
        self.closed = False
        self._cv2: Any = opencv("a window")

    def start(self) -> None:
        if self._thread is None:
            check_display()
        super().start()

    def _open(self) -> None:
        self.closed = False
        try:
            self._cv2.namedWindow(self.spec.title, self._cv2.WINDOW_NORMAL)
        except self._cv2.error as error:
            raise DeviceError(f"this OpenCV shows no windows ({error.err}); {REMEDY}") from error

    def _present(self, frame: VideoFrame) -> None:
        if not self.closed:
            self._cv2.imshow(self.spec.title, frame.pixels)

    def _pump(self) -> None:
        if self.closed:
            return
        self._cv2.waitKey(1)
        if self._cv2.getWindowProperty(self.spec.title, self._cv2.WND_PROP_VISIBLE) < 1:
            self.closed = True
            self._mailbox.close()
            self._say("the window was closed")

    def _close(self) -> None:
        try:
            self._cv2.destroyWindow(self.spec.title)
            self._cv2.waitKey(1)
        except self._cv2.error:
            return  # the user closed it, or it never opened


def check_display() -> None:
    """Raises DeviceError when no window can be opened here."""
    if sys.platform == "darwin":
        raise DeviceError(f"macOS lets only a program's main thread open a window; {REMEDY}")
    if not sys.platform.startswith("linux"):
        return
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise DeviceError(f"there is no display (DISPLAY is not set); {REMEDY}")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE],
            timeout=PROBE_TIMEOUT_S,
            capture_output=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"the display does not answer ({error}); {REMEDY}") from error
    if probe.returncode != 0:
        raise DeviceError(
            f"no window can be opened on display {os.environ.get('DISPLAY', '')}; {REMEDY}"
        )
