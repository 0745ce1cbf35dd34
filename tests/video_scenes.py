"""Pictures, people and faces that are worked out, so that effects are tested without any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.effects.video import face_mesh
from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.scene import Face, Mask
from bunraku.effects.video.scene_analyser import SceneAnalyser
from bunraku.effects.video.video_effect import VideoEffect, catalogue, make_effect
from bunraku.errors import MissingDependencyError
from bunraku.streaming.video_frame import VideoFrame

SIZE = (160, 120)
PERIOD_NS = 33_333_333


def frame(number: int = 0, size: tuple[int, int] = SIZE) -> VideoFrame:
    """A texture that drifts two pixels a frame, the same for every call."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 2 * number, np.arange(height))
    waves = [np.sin(x / 7.0) + np.cos(y / 5.0), np.sin((x + y) / 9.0), np.cos(x / 11.0 - y / 6.0)]
    pixels = np.stack([128 + 55 * wave for wave in waves], axis=-1).astype(np.uint8)
    return VideoFrame(np.ascontiguousarray(pixels), number * PERIOD_NS, number)


def face_at(x: float, y: float, width: float) -> Face:
    """A face that looks straight into the camera: an ellipse of points, eyes and lips within."""
    turn = np.linspace(0, 20 * np.pi, 478)
    radius = np.linspace(0.2, 1.0, 478)
    unit = np.stack([radius * np.sin(turn) / 2, -radius * np.cos(turn) * 0.65, 0 * turn], axis=1)
    outline = np.linspace(0, 2 * np.pi, len(face_mesh.OVAL), endpoint=False)
    unit[list(face_mesh.OVAL), 0] = np.sin(outline) / 2
    unit[list(face_mesh.OVAL), 1] = -np.cos(outline) * 0.65
    for middle, indices in (
        ((-0.2, -0.1), face_mesh.RIGHT_EYE),
        ((0.2, -0.1), face_mesh.LEFT_EYE),
        ((-0.2, -0.25), face_mesh.RIGHT_BROW),
        ((0.2, -0.25), face_mesh.LEFT_BROW),
        ((0.0, 0.3), face_mesh.LIPS),
    ):
        around = np.linspace(0, 2 * np.pi, len(indices), endpoint=False)
        unit[list(indices), 0] = middle[0] + 0.1 * np.cos(around)
        unit[list(indices), 1] = middle[1] + 0.04 * np.sin(around)
    unit[168] = (0, -0.1, 0)
    landmarks = (unit * width + (x, y, 0)).astype(np.float32)
    box = (x - width / 2, y - 0.65 * width, width, 1.3 * width)
    return Face(landmarks, box, np.eye(4, dtype=np.float32))


class DrawnPerson:
    """A `Segmenter`: an ellipse in the middle of the lower half, or nobody."""

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.asked = 0

    def mask(self, frame: VideoFrame) -> Mask:
        self.asked += 1
        width, height = frame.size
        x, y = np.meshgrid(np.linspace(-2, 2, width), np.linspace(-2, 1, height))
        soft = np.clip((1 - np.hypot(x, y)) * 6, 0, 1) * self.there
        return soft.astype(np.float32)

    def reset(self) -> None:
        self.asked = 0

    def close(self) -> None:
        pass


class DrawnFaces:
    """A `FaceTracker` that shows whatever `shown` holds."""

    def __init__(self, *shown: Face) -> None:
        self.shown = shown
        self.asked = 0

    def faces(self, frame: VideoFrame) -> tuple[Face, ...]:
        self.asked += 1
        return self.shown

    def reset(self) -> None:
        self.asked = 0

    def close(self) -> None:
        pass


def someone() -> SceneAnalyser:
    return SceneAnalyser(DrawnPerson(), DrawnFaces(face_at(80, 55, 44)))


def nobody() -> SceneAnalyser:
    return SceneAnalyser(DrawnPerson(there=False), DrawnFaces())


def effect_named(name: str, folder: Path) -> VideoEffect:
    """With the files it cannot do without; skips where they are a model's."""
    settings: dict[str, Any] = {}
    if name == "background_replace":
        settings["picture"] = str(picture_in(folder))
    required = {k for k, v in catalogue()[name].Settings.model_fields.items() if v.is_required()}
    if required - settings.keys():
        pytest.skip(f"{name} needs {', '.join(required)}: tested in a file of its own")
    return make_effect(name, **settings)


def picture_in(folder: Path) -> Path:
    import cv2

    path = folder / "beach.png"
    cv2.imwrite(str(path), frame(7, (90, 90)).pixels)
    return path


def play(chain: VideoChain, frames: int = 4) -> list[VideoFrame]:
    return [chain.process(frame(number)) for number in range(frames)]


def fetched_or_skip(name: str) -> Path:
    """A third-party model, or a visible skip that says why it is not here."""
    from bunraku.weights.fetched import fetch

    try:
        return fetch(name)
    except MissingDependencyError as error:
        pytest.skip(str(error))
