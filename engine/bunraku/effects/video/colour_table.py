"""Colours by table: a look worked out once for all colours, then one look-up a pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bunraku.effects.video.cube_file import Cube
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

Table = npt.NDArray[np.float32]


class ColourTable:
    """`bits` of each channel choose an entry; the bits below are added to it, so that soft
    gradients stay soft. 7 bits: 8 MiB, within 2 of 255 of the exact look; 5 bits: 128 KiB."""

    def __init__(self, look: Cube, bits: int) -> None:
        self._bits = bits
        steps = 1 << bits
        inputs = (np.arange(steps) << (8 - bits)) / np.float32(255)
        colours = resampled(look, inputs.astype(np.float32))
        packed = np.zeros((*colours.shape[:3], 4), np.uint8)
        packed[..., :3] = np.rint(np.clip(colours[..., ::-1], 0, 1) * 255)
        # Four bytes, blue first, are one number: one look-up brings all three channels.
        self._packed = packed.view("<u4").reshape(-1)

    def apply(self, pixels: Pixels) -> Pixels:
        """uint8 [height, width, 3] to the same."""
        cv2 = opencv()
        four = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
        found = self._packed.take(self._index(four.view("<u4")[..., 0]))
        low_bits = np.uint8((1 << (8 - self._bits)) - 1)
        graded = cv2.cvtColor(found.view(np.uint8).reshape(four.shape), cv2.COLOR_BGRA2BGR)
        added: Pixels = cv2.add(graded, np.bitwise_and(pixels, low_bits))
        return added

    def _index(self, packed: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Of the entry: blue counts by bits**2, green by bits, red by one."""
        bits, drop = self._bits, 8 - self._bits
        steps = np.uint32((1 << bits) - 1)
        # The blue byte is lowest, the red one highest: red falls to the bottom.
        index = (packed >> np.uint32(16 + drop)) & steps
        index |= (packed >> np.uint32(8 + drop - bits)) & (steps << np.uint32(bits))
        index |= (packed << np.uint32(2 * bits - drop)) & (steps << np.uint32(2 * bits))
        return index


def resampled(look: Cube, inputs: Table) -> Table:
    """float32 [blue, green, red, 3]: the look at every triple of `inputs` [n], trilinear.

    On a grid, trilinear interpolation is linear interpolation along one axis after the other.
    """
    if look.table.ndim == 2:
        return _from_curves(look, inputs)
    table = look.table
    for axis, channel in ((0, 2), (1, 1), (2, 0)):
        weights = _linear_weights(inputs, look.low[channel], look.high[channel], table.shape[axis])
        table = np.moveaxis(np.tensordot(weights, table, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(table, np.float32)


def _from_curves(look: Cube, inputs: Table) -> Table:
    count = len(inputs)
    out = np.empty((count, count, count, 3), np.float32)
    for channel, shape in enumerate(((1, 1, count), (1, count, 1), (count, 1, 1))):
        weights = _linear_weights(
            inputs, look.low[channel], look.high[channel], look.table.shape[0]
        )
        out[..., channel] = (weights @ look.table[:, channel]).reshape(shape)
    return out


def _linear_weights(inputs: Table, low: float, high: float, size: int) -> Table:
    """[inputs, size]: each row has the shares of the two entries around an input."""
    at = np.clip((inputs - low) / (high - low), 0, 1) * (size - 1)
    below = np.minimum(at.astype(np.int64), size - 2)
    weights = np.zeros((len(inputs), size), np.float32)
    rows = np.arange(len(inputs))
    weights[rows, below] = 1 - (at - below)
    weights[rows, below + 1] = at - below
    return weights
