"""What is known about one camera frame: each analysis is made at most once a frame, by whoever asks
first, and shared by all effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bunraku.streaming.video_frame import VideoFrame

Mask = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
    """landmarks: float32 [478, 3], x and y in pixels of the frame, z in the same scale (MediaPipe's
    face mesh); box: (left, top, width, height) in pixels; to_camera: float32 [4, 4], the head's
    rotation and place as MediaPipe gives them."""

    landmarks: Points
    box: tuple[float, float, float, float]
    to_camera: npt.NDArray[np.float32]


class Segmenter(Protocol):
    """Tells person from background; remembers earlier frames for a steady edge."""

    def mask(self, frame: VideoFrame) -> Mask: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...


class FaceTracker(Protocol):
    """Finds faces; remembers earlier frames for steady landmarks."""

    def faces(self, frame: VideoFrame) -> tuple[Face, ...]: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...


class Scene:
    """The analyses of one frame."""

    def __init__(
        self,
        frame: VideoFrame,
        find_person: Callable[[VideoFrame], Mask],
        find_faces: Callable[[VideoFrame], tuple[Face, ...]],
    ) -> None:
        self.frame = frame
        self._find_person = find_person
        self._find_faces = find_faces
        self._mask: Mask | None = None
        self._faces: tuple[Face, ...] | None = None

    @property
    def person(self) -> Mask:
        """float32 [height, width], 1 where a person is, 0 in the background. Do not write to it."""
        if self._mask is None:
            self._mask = self._find_person(self.frame)
            self._mask.setflags(write=False)
        return self._mask

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces in the frame, the largest first."""
        if self._faces is None:
            self._faces = self._find_faces(self.frame)
        return self._faces
