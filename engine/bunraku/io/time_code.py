"""A time that a machine can read back from a picture: after a codec, a scaling, a network.

Black and white cells on a grid of fractions of the picture, a fortieth of its width and a thirtieth
of its height each: 16 pixels at 640 x 480, whole blocks of H.264 and VP8. A black border, a row of
alternating cells for the threshold, then 64 bits of time, 24 of the number and 24 of a checksum.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError
from bunraku.streaming.video_frame import Pixels

GRID_COLUMNS, GRID_ROWS = 40, 30
COLUMNS, DATA_ROWS = 16, 7
LEAST_SIZE = (120, 90)
NUMBER_BITS = 24
LEAST_CONTRAST = 40.0

Edges = npt.NDArray[np.int64]


def draw_time_code(pixels: Pixels, time_ns: int, number: int) -> None:
    """Over the top left of `pixels`, uint8 [height, width, 3], in place: two fifths of the width,
    a third of the height. time_ns: 0 to 2**64 - 1; of `number` the low 24 bits.

    Raises UserInputError for a picture smaller than 120 x 90 or a negative time.
    """
    height, width = pixels.shape[:2]
    if width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        raise UserInputError(
            f"a picture of {width} x {height} is too small for a time code: give at least"
            f" {LEAST_SIZE[0]} x {LEAST_SIZE[1]}"
        )
    if not 0 <= time_ns < 1 << 64:
        raise UserInputError(f"time_ns is {time_ns}: give 0 to 2**64 - 1")
    payload = time_ns.to_bytes(8, "big") + (number % (1 << NUMBER_BITS)).to_bytes(3, "big")
    bits = np.unpackbits(np.frombuffer(payload + _checksum(payload), np.uint8))
    cells = np.zeros((DATA_ROWS + 3, COLUMNS + 2), np.uint8)
    cells[1, 1:-1:2] = 255
    cells[2:-1, 1:-1] = 255 * bits.reshape(DATA_ROWS, COLUMNS)
    rows, columns = _edges(height, width)
    region = np.repeat(np.repeat(cells, np.diff(rows), axis=0), np.diff(columns), axis=1)
    pixels[: rows[-1], : columns[-1]] = region[:, :, None]


def read_time_code(pixels: Pixels) -> tuple[int, int] | None:
    """(time_ns, number) of the code in the picture, whatever its size; None if there is none, or it
    is damaged."""
    height, width = pixels.shape[:2]
    if pixels.ndim != 3 or width < LEAST_SIZE[0] // 2 or height < LEAST_SIZE[1] // 2:
        return None
    rows, columns = _edges(height, width)
    levels = np.array(
        [
            [
                _middle(pixels, rows[r], rows[r + 1], columns[c], columns[c + 1])
                for c in range(1, COLUMNS + 1)
            ]
            for r in range(1, DATA_ROWS + 2)
        ]
    )
    white, black = levels[0, ::2], levels[0, 1::2]
    if white.min() - black.max() < LEAST_CONTRAST:
        return None
    bits = levels[1:] > (white.mean() + black.mean()) / 2
    data = np.packbits(bits.reshape(-1)).tobytes()
    payload, checksum = data[:11], data[11:]
    if _checksum(payload) != checksum:
        return None
    return int.from_bytes(payload[:8], "big"), int.from_bytes(payload[8:], "big")


def _checksum(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "big")[1:]


def _edges(height: int, width: int) -> tuple[Edges, Edges]:
    """Where the rows and the columns of the code begin, and where the last ends."""
    rows = np.rint(np.arange(DATA_ROWS + 4) * height / GRID_ROWS).astype(np.int64)
    columns = np.rint(np.arange(COLUMNS + 3) * width / GRID_COLUMNS).astype(np.int64)
    return rows, columns


def _middle(pixels: Pixels, top: int, bottom: int, left: int, right: int) -> float:
    """The mean of a cell without its edges, which codecs and scalers smear."""
    across, down = (right - left) // 4, (bottom - top) // 4
    return float(pixels[top + down : bottom - down, left + across : right - across].mean())
