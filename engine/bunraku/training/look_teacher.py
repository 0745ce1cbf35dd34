"""The slow classical filter that the bundled look is learnt from: watercolour under ink.

Generalised Kuwahara filtering (Papari, Petkov and Campisi 2007) lays flat washes, soft quantisation
of the lightness (Winnemöller, Olsen and Gooch 2006) gathers them to few tones, pigment gathers
where a wash ends, and extended differences of Gaussians (Winnemöller, Kyprianidis and Olsen 2012)
draw the ink. Written from the papers' formulas; hundreds of milliseconds a picture of 512x512.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]
"""float32 [height, width, 3], blue first, 0 to 1."""

SECTORS = 8
WASH_RADIUS_PX = 8
WASH_CONTRAST = 8.0
"""The exponent of the weights: how much the calmest sector wins."""
TONES = 7
TONE_EDGE = 4.0
SATURATION = 1.3
LIGHT_GAMMA = 0.72
PAPER = np.array([0.93, 0.98, 1.0], np.float32)
PIGMENT_SIGMA_PX = 3.0
PIGMENT_GAIN = 1.6
PIGMENT_DARKEST = 0.25
INK = np.array([0.20, 0.12, 0.13], np.float32)
INK_CALM_RADIUS_PX = 3
"""Texture below this size is not drawn."""
INK_SIGMA_PX = 1.2
INK_RATIO = 1.6
INK_SHARPNESS = 12.0
INK_LEVEL = 0.55
INK_DARK_LIMIT = 0.15
"""Lightness below which lines fade: there the camera's noise would be drawn."""
INK_SLOPE = 8.0
INK_OPACITY = 0.8


def watercolour(picture: Picture) -> Picture:
    """The picture as the look would have it, the same shape."""
    import cv2

    washes = kuwahara(kuwahara(picture, WASH_RADIUS_PX), WASH_RADIUS_PX // 2)
    painted = brighter(few_tones(washes))
    painted = painted * (1 - pigment_edges(washes)[..., None])
    calm = kuwahara(picture, INK_CALM_RADIUS_PX)
    grey = np.asarray(cv2.cvtColor(calm, cv2.COLOR_BGR2GRAY), np.float32)
    ink = ink_lines(grey)[..., None] * np.float32(INK_OPACITY)
    inked = painted * (1 - ink) + INK * ink
    return np.asarray(np.clip(inked * PAPER, 0, 1), np.float32)


def kuwahara(picture: Picture, radius_px: int) -> Picture:
    """The mean of the sectors around each pixel, the calmest weighing most."""
    import cv2

    total = np.zeros_like(picture)
    weights = np.zeros(picture.shape[:2], np.float32)
    for kernel in sector_kernels(radius_px):
        mean = cv2.filter2D(picture, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)
        square = cv2.filter2D(picture**2, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)
        deviation = np.sqrt(np.maximum(square - mean**2, 0).sum(axis=2))
        weight = 1 / (1 + (255 * deviation) ** (WASH_CONTRAST / 2))
        total += mean * weight[..., None]
        weights += weight
    return total / weights[..., None]


@cache
def sector_kernels(radius_px: int) -> tuple[npt.NDArray[np.float32], ...]:
    """One smooth kernel [2 radius + 1]^2 for each direction, each of sum 1."""
    ys, xs = np.mgrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    near = np.exp(-(xs**2 + ys**2) / (2 * (radius_px / 2) ** 2))
    angle = np.arctan2(ys, xs)
    kernels = []
    for sector in range(SECTORS):
        away = np.angle(np.exp(1j * (angle - 2 * np.pi * sector / SECTORS)))
        kernel = near * np.exp(-((away / (np.pi / SECTORS)) ** 2))
        kernel[radius_px, radius_px] = near[radius_px, radius_px] / SECTORS
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return tuple(kernels)


def few_tones(picture: Picture) -> Picture:
    """Lightness gathered around `TONES` values, with soft steps between."""
    import cv2

    lab = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2Lab), np.float32)
    step = 100 / TONES
    nearest = (np.floor(lab[..., 0] / step) + 0.5) * step
    away = (lab[..., 0] - nearest) / step
    gathered = nearest + step / 2 * np.tanh(away * TONE_EDGE) / np.tanh(TONE_EDGE / 2)
    lab[..., 0] = 0.35 * lab[..., 0] + 0.65 * gathered
    lab[..., 1:] *= np.float32(SATURATION)
    return np.asarray(np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2BGR), 0, 1), np.float32)


def brighter(picture: Picture) -> Picture:
    """Thin paint: paper shines through the lights."""
    return picture**LIGHT_GAMMA


def pigment_edges(washes: Picture) -> npt.NDArray[np.float32]:
    """0 to `PIGMENT_DARKEST`: how much darker the rim of a wash is."""
    import cv2

    blurred = cv2.GaussianBlur(washes, (0, 0), PIGMENT_SIGMA_PX)
    rim = np.abs(blurred - washes).sum(axis=2)
    return np.asarray(np.minimum(rim * PIGMENT_GAIN, PIGMENT_DARKEST), np.float32)


def ink_lines(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """0 to 1: extended difference of Gaussians, where it falls below `INK_LEVEL`."""
    import cv2

    fine = cv2.GaussianBlur(grey, (0, 0), INK_SIGMA_PX)
    coarse = cv2.GaussianBlur(grey, (0, 0), INK_SIGMA_PX * INK_RATIO)
    response = fine + INK_SHARPNESS * (fine - coarse)
    # Only what is darker than its surroundings: a dark wall is a wash, not a blot of ink.
    local = cv2.GaussianBlur(grey, (0, 0), INK_SIGMA_PX * 8)
    depth = (INK_LEVEL * local - response) / (local + INK_DARK_LIMIT)
    return np.asarray(np.clip(np.tanh(INK_SLOPE * depth), 0, 1), np.float32)
