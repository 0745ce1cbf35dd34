"""A camera that other programs can choose: v4l2loopback on Linux, OBS's on Windows and macOS."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from bunraku.errors import DeviceError
from bunraku.io.video_source import NewestFrameSink, Say, say_nothing
from bunraku.io.video_specs import VirtualCameraSpec
from bunraku.packages import opencv, package
from bunraku.streaming.video_frame import VideoFrame

REMEDY_LINUX = (
    "install v4l2loopback and load it: sudo modprobe v4l2loopback card_label=bunraku"
    " exclusive_caps=1"
)
REMEDY_ELSEWHERE = "install OBS 30 or later and start its virtual camera once"


class VirtualCamera(NewestFrameSink):
    """device: its name or path once started. `start` raises DeviceError without a driver."""

    thread_name = "bunraku-virtual-camera"

    def __init__(self, spec: VirtualCameraSpec, on_message: Say = say_nothing) -> None:
        super().__init__(on_message)
        self.spec = spec
        self.device = ""
        self._package = package("pyvirtualcam", "pyvirtualcam", "the virtual camera", "virtualcam")
        self._camera: Any = None

    def _open(self) -> None:
        width, height = self.spec.size
        try:
            self._camera = self._package.Camera(
                width=width,
                height=height,
                fps=self.spec.rate_hz,
                fmt=self._package.PixelFormat.BGR,
                device=self.spec.device,
            )
        except (RuntimeError, OSError, ValueError) as error:
            remedy = REMEDY_LINUX if sys.platform.startswith("linux") else REMEDY_ELSEWHERE
            reason = " ".join(str(error).split()).rstrip(".")
            raise DeviceError(f"no virtual camera ({reason}); {remedy}") from error
        self.device = str(self._camera.device)

    def _present(self, frame: VideoFrame) -> None:
        pixels = frame.pixels
        if frame.size != self.spec.size:
            pixels = opencv("the virtual camera").resize(pixels, self.spec.size)
        self._camera.send(np.ascontiguousarray(pixels))

    def _close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
