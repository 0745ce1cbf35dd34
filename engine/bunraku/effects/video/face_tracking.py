"""Where the faces are: MediaPipe's face mesh, steadied from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.effects.video.mediapipe_task import RisingMilliseconds, as_image, open_task
from bunraku.effects.video.one_euro import OneEuro
from bunraku.effects.video.scene import Face, Points
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels, VideoFrame
from bunraku.weights.fetched import FACE_LANDMARKER

MAX_FACES = 8
LONGEST_SIDE = 1280
"""Larger frames are shrunk first: the mesh looks at 256x256 of a face."""
MIN_CUTOFF_HZ = 2.0
BETA_HZ = 8.0
"""A face moving its own width in a second is smoothed with 10 Hz."""
SPEED_CUTOFF_HZ = 3.0


class FaceMeshTracker:
    """A `FaceTracker`, up to `max_faces`, 1 to 8: one face is 1.5 ms cheaper, because no second one
    is looked for. `every` is how many frames one answer serves. Not for several threads at once."""

    def __init__(self, max_faces: int = 1, every: int = 1) -> None:
        self.max_faces = min(max(1, max_faces), MAX_FACES)
        self.every = every
        self._task: Any = None
        self._clock = RisingMilliseconds()
        self._steady: list[SteadyFace] = []
        self._faces: tuple[Face, ...] | None = None
        self._age = 0

    def open(self) -> None:
        """Raises MissingDependencyError, ModelFormatError. Idempotent."""
        if self._task is None:
            self._task = open_task(
                FACE_LANDMARKER,
                self._landmarker,
                lambda task, *asked: task.detect_for_video(*asked),
            )

    def faces(self, frame: VideoFrame) -> tuple[Face, ...]:
        if self._faces is None or self._age + 1 >= self.every:
            self._age = 0
            self._faces = self._steadied(self._ask(frame), frame.time_ns)
        else:
            self._age += 1
        return self._faces

    def reset(self) -> None:
        """An open model is opened afresh: it keeps where faces were, and has no reset. Raises what
        `open` raises."""
        self._steady = []
        self._faces = None
        self._age = 0
        self._clock = RisingMilliseconds()
        if self._task is not None:
            self.close()
            self.open()

    def close(self) -> None:
        if self._task is not None:
            self._task.close()
            self._task = None

    def _landmarker(self, vision: Any, base_options: Any) -> Any:
        options = vision.FaceLandmarkerOptions(
            base_options,
            running_mode=vision.RunningMode.VIDEO,
            num_faces=self.max_faces,
            output_facial_transformation_matrixes=True,
        )
        return vision.FaceLandmarker.create_from_options(options)

    def _ask(self, frame: VideoFrame) -> list[Face]:
        self.open()
        rgb = opencv().cvtColor(_at_most(frame.pixels, LONGEST_SIDE), opencv().COLOR_BGR2RGB)
        answer = self._task.detect_for_video(as_image(rgb), self._clock.after(frame.time_ns))
        faces = [
            face_from(points, matrix, frame.size)
            for points, matrix in zip(
                answer.face_landmarks, answer.facial_transformation_matrixes, strict=True
            )
        ]
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])

    def _steadied(self, faces: list[Face], time_ns: int) -> tuple[Face, ...]:
        """Each face is smoothed with the history of the nearest one of the frame before."""
        left = list(self._steady)
        self._steady = []
        steadied = []
        for face in faces:
            near = min(left, key=lambda old: distance(old.face, face), default=None)
            if near is None or distance(near.face, face) > 1:
                near = SteadyFace(face)
            else:
                left.remove(near)
            steadied.append(near.step(face, time_ns))
            self._steady.append(near)
        return tuple(steadied)


@dataclass
class SteadyFace:
    """One face over time."""

    face: Face

    def __post_init__(self) -> None:
        self._points = OneEuro(MIN_CUTOFF_HZ, BETA_HZ, SPEED_CUTOFF_HZ)
        self._pose = OneEuro(MIN_CUTOFF_HZ, BETA_HZ, SPEED_CUTOFF_HZ)

    def step(self, face: Face, time_ns: int) -> Face:
        points = self._points.step(face.landmarks, time_ns, unit=face.box[2])
        # The model's last column is centimetres; a head is some 15 wide.
        scale = np.array([1, 1, 1, 1 / 15], np.float32)
        pose = self._pose.step(face.to_camera * scale, time_ns) / scale
        self.face = Face(points, box_of(points), with_pure_rotation(pose))
        return self.face


def face_from(points: Any, matrix: Any, size: tuple[int, int]) -> Face:
    """From MediaPipe's answer: points from 0 to 1, z in the scale of x."""
    width, height = size
    landmarks = np.array(
        [(point.x * width, point.y * height, point.z * width) for point in points], np.float32
    )
    return Face(landmarks, box_of(landmarks), np.array(matrix, np.float32))


def box_of(landmarks: Points) -> tuple[float, float, float, float]:
    """(left, top, width, height) in pixels."""
    left, top = landmarks[:, :2].min(axis=0)
    right, bottom = landmarks[:, :2].max(axis=0)
    return float(left), float(top), max(1.0, float(right - left)), max(1.0, float(bottom - top))


def distance(one: Face, other: Face) -> float:
    """Between the middles, in widths of the larger face."""
    x = one.box[0] + one.box[2] / 2 - other.box[0] - other.box[2] / 2
    y = one.box[1] + one.box[3] / 2 - other.box[1] - other.box[3] / 2
    return float(np.hypot(x, y)) / max(one.box[2], other.box[2])


def with_pure_rotation(pose: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A mean of rotations is none: the nearest one takes its place. float32 [4, 4]."""
    u, _, v = np.linalg.svd(pose[:3, :3])
    pure = pose.copy()
    pure[:3, :3] = u @ v
    return pure


def _at_most(pixels: Pixels, longest_side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return pixels
    size = (round(width * scale), round(height * scale))
    smaller: Pixels = opencv().resize(pixels, size, interpolation=opencv().INTER_LINEAR)
    return smaller
