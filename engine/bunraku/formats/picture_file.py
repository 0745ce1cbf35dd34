"""Reads a PNG or JPEG file of a stranger: its size is checked before anything is unpacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bunraku.errors import MediaError
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

MAX_PICTURE_BYTES = 32 << 20
MAX_PICTURE_SIDE = 8192
MAX_PICTURE_PIXELS = 1 << 25
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def read_picture(path: str, with_alpha: bool = False) -> Pixels:
    """uint8 [height, width, 3], blue first, or [height, width, 4] with alpha, 255 where the file
    has none. Raises MediaError."""
    data = _bytes_of(path)
    size = picture_size(data)
    if size is None:
        raise MediaError(f"{path} is neither a PNG nor a JPEG picture: give one of these")
    width, height = size
    if not 0 < max(size) <= MAX_PICTURE_SIDE or not 0 < width * height <= MAX_PICTURE_PIXELS:
        raise MediaError(
            f"{path} is {width}x{height}: at most {MAX_PICTURE_SIDE} a side and "
            f"{MAX_PICTURE_PIXELS:,} pixels; make it smaller"
        )
    return _decoded(path, data, with_alpha)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) as the head of a PNG or JPEG says; None if it is neither."""
    if data.startswith(PNG_SIGNATURE) and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return _jpeg_size(data) if data.startswith(JPEG_START) else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF or marker in JPEG_ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in JPEG_SIZES:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _bytes_of(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_PICTURE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{path} cannot be read: {reason}") from error
    if len(data) > MAX_PICTURE_BYTES:
        raise MediaError(f"{path} is over {MAX_PICTURE_BYTES >> 20} MiB: give a smaller picture")
    return data


def _decoded(path: str, data: bytes, with_alpha: bool) -> Pixels:
    cv2 = opencv()
    flag = cv2.IMREAD_UNCHANGED if with_alpha else cv2.IMREAD_COLOR
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise MediaError(f"{path} is damaged: save it again as PNG or JPEG")
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    if with_alpha and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    decoded: Pixels = np.ascontiguousarray(pixels)
    return decoded
