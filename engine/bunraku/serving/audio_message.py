"""A block of sound as one binary message, there and back: 24 bytes of header, then mono samples.

Little endian: "BNKA", the format (0: float32, 1: int16), a zero, frames (16 bits), the sequence
number (32 bits, counts messages), the sample rate in Hz (32 bits), and when the first frame was
captured by the sender's clock (64 bit float: milliseconds since the epoch, 0: it does not say).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError
from bunraku.serving.limits import (
    LEAST_AUDIO_FRAMES,
    LEAST_RATE_HZ,
    MOST_AUDIO_FRAMES,
    MOST_RATE_HZ,
)

MAGIC = b"BNKA"
HEADER = struct.Struct("<4sBBHIId")
FLOAT32, INT16 = 0, 1
INT16_SCALE = 32_768.0
MOST_CAPTURED_MS = 1e13
LITTLE_FLOAT, LITTLE_INT = np.dtype("<f4"), np.dtype("<i2")


@dataclass(frozen=True, eq=False)
class AudioMessage:
    """samples: float32 [frames, 1], finite. format: in which they came and go back. captured_ms: 0
    when the sender did not say."""

    samples: npt.NDArray[np.float32]
    sequence: int
    sample_rate_hz: int
    format: int = FLOAT32
    captured_ms: float = 0.0


def read_audio_message(data: bytes) -> AudioMessage:
    """Raises UserInputError that names the value and the range."""
    if len(data) < HEADER.size:
        raise UserInputError(f"a message of {len(data)} bytes: its header alone has {HEADER.size}")
    magic, form, zero, frames, sequence, rate_hz, captured_ms = HEADER.unpack_from(data)
    if magic != MAGIC or zero != 0:
        raise UserInputError("this is no block of sound: it begins with 'BNKA'")
    if form not in (FLOAT32, INT16):
        raise UserInputError(f"the format is {form}: use {FLOAT32} (float32) or {INT16} (int16)")
    if not LEAST_AUDIO_FRAMES <= frames <= MOST_AUDIO_FRAMES:
        raise UserInputError(
            f"a block of {frames} frames: send {LEAST_AUDIO_FRAMES} to {MOST_AUDIO_FRAMES}"
        )
    if not LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ:
        raise UserInputError(f"{rate_hz} Hz: send {LEAST_RATE_HZ} to {MOST_RATE_HZ} Hz")
    kind = LITTLE_FLOAT if form == FLOAT32 else LITTLE_INT
    if not 0.0 <= captured_ms <= MOST_CAPTURED_MS:
        raise UserInputError(f"captured at {captured_ms:g} ms: send 0 to {MOST_CAPTURED_MS:g}")
    if len(data) != HEADER.size + frames * kind.itemsize:
        raise UserInputError(f"{frames} frames are announced, {len(data)} bytes came")
    raw = np.frombuffer(data, kind, frames, HEADER.size).astype(np.float32)
    samples = raw if form == FLOAT32 else raw / np.float32(INT16_SCALE)
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    block = np.clip(clean, -8.0, 8.0)[:, None]
    return AudioMessage(block, sequence, rate_hz, form, captured_ms)


def write_audio_message(message: AudioMessage) -> bytes:
    """The inverse: `samples` beyond full scale are clipped in int16."""
    frames = len(message.samples)
    header = HEADER.pack(
        MAGIC,
        message.format,
        0,
        frames,
        message.sequence & 0xFFFFFFFF,
        message.sample_rate_hz,
        message.captured_ms,
    )
    mono = message.samples[:, 0]
    if message.format == FLOAT32:
        return bytes(header + mono.astype(LITTLE_FLOAT).tobytes())
    scaled = np.clip(np.rint(mono * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1)
    return bytes(header + scaled.astype(LITTLE_INT).tobytes())
