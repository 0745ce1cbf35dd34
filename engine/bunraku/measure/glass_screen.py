"""A screen filmed by a camera: what is shown, and how it is found in the camera's picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bunraku.io.paced_source import PacedSource
from bunraku.io.time_code import draw_time_code, read_time_code
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

CODE_SIZE = (640, 480)
FRAME_SHARE = 20
"""Black, then white, then the code: each edge is a twentieth of the picture's width or height."""
LEAST_AREA_SHARE = 0.02
CODE_COLUMNS, CODE_ROWS = 18 / 40, 10 / 30

Corners = npt.NDArray[np.float32]


class CodeScreen(PacedSource):
    """The time code over the whole picture, in a white frame on black, so that it can be found."""

    thread_name = "bunraku-code-screen"

    def picture(self, number: int, time_ns: int) -> Pixels:
        return code_screen(self.size, time_ns, number)


def code_screen(size: tuple[int, int], time_ns: int, number: int) -> Pixels:
    """uint8 [height, width, 3]."""
    width, height = size
    high, wide = height // FRAME_SHARE, width // FRAME_SHARE
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[high:-high, wide:-wide] = 255
    inner = pixels[2 * high : -2 * high, 2 * wide : -2 * wide]
    code = np.zeros((CODE_SIZE[1], CODE_SIZE[0], 3), np.uint8)
    draw_time_code(code, time_ns, number)
    code = code[: round(CODE_SIZE[1] * CODE_ROWS), : round(CODE_SIZE[0] * CODE_COLUMNS)]
    cv2 = opencv("the screen's time code")
    inner[:] = cv2.resize(code, inner.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return pixels


def read_filmed_code(pixels: Pixels) -> tuple[int, int] | None:
    """(time_ns, number) of a code screen anywhere in the picture, upright, however it is turned a
    little, tilted or small. None where none is found or it is damaged: a camera that sees two of
    the screen's pictures in one exposure gives such a picture."""
    cv2 = opencv("reading a filmed screen")
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    _, bright = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(bright, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    least = LEAST_AREA_SHARE * grey.size
    for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:8]:
        if cv2.contourArea(contour) < least:
            return None
        corners = cv2.approxPolyDP(contour, 0.03 * cv2.arcLength(contour, True), True)
        if len(corners) == 4 and cv2.isContourConvex(corners):
            code = _read_within(pixels, in_order(corners.reshape(4, 2).astype(np.float32)))
            if code is not None:
                return code
    return None


def in_order(corners: Corners) -> Corners:
    """Top left, top right, bottom right, bottom left."""
    total, difference = corners.sum(axis=1), np.diff(corners, axis=1)[:, 0]
    order = [total.argmin(), difference.argmin(), total.argmax(), difference.argmax()]
    ordered: Corners = corners[order]
    return ordered


def _read_within(pixels: Pixels, corners: Corners) -> tuple[int, int] | None:
    """The code inside the white frame with these outer corners; or, where they are those of its
    inner edge, inside them."""
    cv2 = opencv("reading a filmed screen")
    width, height = CODE_SIZE
    code_width, code_height = width * CODE_COLUMNS, height * CODE_ROWS
    for inset in (1.0 / (FRAME_SHARE - 4), 0.0):
        x0, x1 = -inset * code_width, (1.0 + inset) * code_width
        y0, y1 = -inset * code_height, (1.0 + inset) * code_height
        target = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
        flat = cv2.warpPerspective(
            pixels, cv2.getPerspectiveTransform(corners, target), (width, height)
        )
        code = read_time_code(flat)
        if code is not None:
            return code
    return None
