"""The synthetic source: a moving pattern, a time code, and flashes that a test can look for."""

from __future__ import annotations

import numpy as np

from bunraku.io.paced_source import PacedSource
from bunraku.io.time_code import draw_time_code, read_time_code
from bunraku.io.video_specs import PatternSpec
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.video_frame import Pixels

__all__ = ["FLASH_S", "Pattern", "draw_time_code", "flash_brightness", "read_time_code"]

FLASH_S = 0.1
BALL_ROUND_S = 4.0


class Pattern(PacedSource):
    """Colour bars that drift, a white ball that goes round in four seconds, the time code at the
    top left, and at the bottom right a black field that is white during a flash."""

    __test__ = False
    thread_name = "bunraku-test-picture"

    def __init__(self, spec: PatternSpec) -> None:
        super().__init__(spec.size, spec.rate_hz)
        self.spec = spec
        width, height = spec.size
        hue = np.linspace(0.0, 2.0 * np.pi, 2 * width, endpoint=False) * 2.0
        bars = np.stack([128 + 90 * np.sin(hue + 2.1 * k) for k in range(3)], axis=1)
        shade = np.linspace(1.0, 0.5, height)[:, None, None]
        self._bars: Pixels = (bars[None] * shade).astype(np.uint8)

    def picture(self, number: int, time_ns: int) -> Pixels:
        width, height = self.size
        since_s = (time_ns - self.started_ns) / NS_PER_S
        shift = int(since_s * width / 10.0) % width
        pixels = self._bars[:, shift : shift + width].copy()
        self._draw_ball(pixels, since_s)
        flash_field(pixels)[:] = 255 if self.flashes_at(since_s) else 0
        if width >= 120 and height >= 90:
            draw_time_code(pixels, time_ns, number)
        return pixels

    def flashes_at(self, since_s: float) -> bool:
        """Whether there is a flash so many seconds after the start."""
        every_s = self.spec.flash_every_s
        if every_s is None or since_s < every_s - 1e-6:
            return False
        return (since_s + 1e-6) % every_s < FLASH_S

    def _draw_ball(self, pixels: Pixels, since_s: float) -> None:
        width, height = self.size
        angle = 2.0 * np.pi * since_s / BALL_ROUND_S
        radius = min(width, height) // 16
        x = int(width * (0.7 + 0.2 * np.cos(angle)))
        y = int(height * (0.3 + 0.2 * np.sin(angle)))
        top, left = max(0, y - radius), max(0, x - radius)
        area = pixels[top : y + radius, left : x + radius]
        rows, columns = np.ogrid[: area.shape[0], : area.shape[1]]
        inside = (rows + top - y) ** 2 + (columns + left - x) ** 2 < radius * radius
        area[inside] = 255


def flash_field(pixels: Pixels) -> Pixels:
    """The part of a test picture that flashes, as a view."""
    height, width = pixels.shape[:2]
    return pixels[height * 3 // 5 :, width * 3 // 5 :]


def flash_brightness(pixels: Pixels) -> float:
    """0 (no flash) to 255, from the middle of the field; the picture may have been scaled."""
    field = flash_field(pixels)
    height, width = field.shape[:2]
    return float(field[height // 4 : -(height // 4), width // 4 : -(width // 4)].mean())
