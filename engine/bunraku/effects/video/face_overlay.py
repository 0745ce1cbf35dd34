"""Face overlay: a picture that sits on the head and turns with it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bunraku.effects.video.face_mesh import FOREHEAD, LEFT_CHEEK, RIGHT_CHEEK, bounds
from bunraku.effects.video.overlay_pictures import PLACEMENTS, drawn, premultiplied
from bunraku.effects.video.scene import Face, Scene
from bunraku.effects.video.video_effect import EffectSettings, PresetPath, VideoEffect
from bunraku.errors import UserInputError
from bunraku.formats.picture_file import read_picture
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

BETWEEN_THE_EYES = 168
ANCHORS = {"eyes": BETWEEN_THE_EYES, "forehead": FOREHEAD}
CAMERA_DISTANCE = 4.5
"""In face widths: about 70 cm, as at a desk; how much nearer parts grow."""
SMALLEST_LEVEL = 16

Quad = npt.NDArray[np.float32]


class FaceOverlaySettings(EffectSettings):
    look: Literal["glasses", "ears", "file"] = Field(
        default="glasses",
        description="glasses or ears, which come along, or your file",
        json_schema_extra={"reopen": True},
    )
    file: PresetPath | None = Field(
        default=None,
        description="a PNG with transparency, for look = file",
        json_schema_extra={"path": True, "reopen": True},
    )
    anchor: Literal["auto", "eyes", "forehead"] = Field(
        default="auto", description="where its middle sits; auto: as the look wants"
    )
    size: float = Field(default=1.0, ge=0.2, le=4.0, description="times the look's own size")
    up: float = Field(default=0.0, ge=-2.0, le=2.0, description="moves it, in face widths")
    aside: float = Field(default=0.0, ge=-2.0, le=2.0, description="moves it, in face widths")


class FaceOverlay(VideoEffect):
    """The picture is a plane before the face, turned as the head is and seen in perspective."""

    name: ClassVar[str] = "face_overlay"
    summary: ClassVar[str] = "glasses, ears or your picture on the head"
    Settings: ClassVar[type[EffectSettings]] = FaceOverlaySettings
    tiers: ClassVar[tuple[str, ...]] = ("smooth", "fast")
    needs = frozenset({"faces"})

    _levels: tuple[Pixels, ...] = ()

    def open(self) -> None:
        said = self.settings
        if said.look == "file" and said.file is None:
            raise UserInputError("face_overlay: look is 'file' but file is missing: name a PNG")
        picture = (
            premultiplied(read_picture(said.file, with_alpha=True))
            if said.look == "file"
            else drawn(said.look)
        )
        self._levels = tuple(shrinking(picture))

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        if scene.faces and not self._levels:
            self.open()
        for face in reversed(scene.faces):  # the nearest one last, over the others
            lay(pixels, self._levels, self._corners(face), smooth=tier == 0)
        return pixels

    def close(self) -> None:
        self._levels = ()

    def _corners(self, face: Face) -> Quad:
        """Of the picture in the frame: float32 [4, 2], clockwise from the top left."""
        said, place = self.settings, PLACEMENTS[self.settings.look]
        anchor = place.anchor if said.anchor == "auto" else said.anchor
        unit = float(np.linalg.norm(face.landmarks[LEFT_CHEEK] - face.landmarks[RIGHT_CHEEK]))
        height, width = self._levels[0].shape[:2]
        half_width = place.width * said.size / 2
        half_height = half_width * height / width
        right, up, near = place.offset
        middle = np.array([right + said.aside, up + said.up, near], np.float32)
        sides = np.array([(-1, 1, 0), (1, 1, 0), (1, -1, 0), (-1, -1, 0)], np.float32)
        corners = middle + sides * np.array([half_width, half_height, 0], np.float32)
        # MediaPipe's axes: right in the picture, up, towards the camera.
        turned = corners @ face.to_camera[:3, :3].T
        nearer = np.minimum(turned[:, 2:], np.float32(CAMERA_DISTANCE / 2))
        flat = turned[:, :2] * np.array([1, -1], np.float32) / (1 - nearer / CAMERA_DISTANCE)
        at: Quad = (face.landmarks[ANCHORS[anchor], :2] + unit * flat).astype(np.float32)
        return at


def shrinking(picture: Pixels) -> list[Pixels]:
    """The picture, half of it, a quarter of it and so on: a small one is made from a small one."""
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 2 * SMALLEST_LEVEL:
        height, width = levels[-1].shape[:2]
        half = (width // 2, height // 2)
        levels.append(opencv().resize(levels[-1], half, interpolation=opencv().INTER_AREA))
    return levels


def lay(pixels: Pixels, levels: tuple[Pixels, ...], corners: Quad, smooth: bool) -> None:
    """The picture's corners at `corners` of `pixels`, in place."""
    if not np.isfinite(corners).all():
        return
    cv2 = opencv()
    box = bounds(corners, (pixels.shape[1], pixels.shape[0]))
    if box is None:
        return
    left, top, right, bottom = box
    wanted = max(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0]))
    level = next((lv for lv in reversed(levels) if max(lv.shape[:2]) >= wanted), levels[0])
    height, width = level.shape[:2]
    # Pixels' middles lie at whole numbers, so a picture reaches from -0.5 on.
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - np.float32(
        0.5
    )
    matrix = cv2.getPerspectiveTransform(source, corners - np.array([left, top], np.float32))
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    shown = cv2.warpPerspective(level, matrix, (right - left, bottom - top), flags=how)
    under = pixels[top:bottom, left:right]
    clear = cv2.cvtColor(cv2.bitwise_not(shown[..., 3]), cv2.COLOR_GRAY2BGR)
    dimmed = cv2.multiply(under, clear, scale=1 / 255)
    pixels[top:bottom, left:right] = cv2.add(dimmed, cv2.cvtColor(shown, cv2.COLOR_BGRA2BGR))
