"""What decoding and encoding pictures for browsers costs this machine, and how much it may."""

from __future__ import annotations

import fractions
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from bunraku.errors import OverloadError
from bunraku.packages import pyav
from bunraku.session.calibration import typical_frame
from bunraku.streaming.video_frame import Pixels

NS_PER_S = 1_000_000_000
SMALL, USUAL = (160, 120), (640, 480)
"""Measured are two sizes: a cost has a part that any picture has, and one for each pixel. Both are
small enough for the codec to do its work on the thread that asks, whose time is what counts."""
RUNS, WARM_UP_RUNS = 10, 2
MOTION_PX = 3
WAY_NS = 1_350_000
"""Of a picture in or out, besides the codec: event loop, packets, encryption. A whole server was
measured to take 3.3, 4.3 and 8.0 ms of processor time for each picture that came in and went out at
160x120, 320x240 and 640x480, of which 0.7, 1.6 and 5.1 ms are the codec's."""
CORES_SHARE, LEAST_CORES = 0.7, 0.5
VIDEO_CLOCK_HZ, FRAME_TICKS = 90_000, 3_000


@dataclass(frozen=True)
class Cost:
    """Nanoseconds of processor time for one picture: some for any, and for each pixel some."""

    any_ns: float
    pixel_ns: float

    def of(self, size: tuple[int, int]) -> float:
        return self.any_ns + self.pixel_ns * size[0] * size[1]


@dataclass(frozen=True)
class CodecCost:
    decoding: Cost
    encoding: Cost


BELIEVED = CodecCost(decoding=Cost(200e3, 3.0), encoding=Cost(250e3, 11.0))
"""Where a release of aiortc has moved its codec: of a server's core of 2023."""


@dataclass(frozen=True)
class Pictures:
    """What one session has decoded and encoded of `size` (width, height), `rate_hz` times a second;
    a stage's visitor is sent two pictures and sends none."""

    size: tuple[int, int]
    rate_hz: float
    decoded: int = 1
    encoded: int = 1

    def cores(self, cost: CodecCost) -> float:
        decoding_ns = self.decoded * (WAY_NS + cost.decoding.of(self.size))
        encoding_ns = self.encoded * (WAY_NS + cost.encoding.of(self.size))
        return (decoding_ns + encoding_ns) * self.rate_hz / NS_PER_S


class CodecBudget:
    """Books pictures against a share of the machine: `cores`, of all but one 70 %, and half a core
    at least. A session that would be the only one with pictures may take the whole machine: it is
    in nobody's way. Any threads; the first `book` measures for some tenths of a second."""

    def __init__(
        self,
        cost: Callable[[], CodecCost] | None = None,
        *,
        machine_cores: int | None = None,
    ) -> None:
        self._cost = cost or measured_cost
        self._machine_cores = machine_cores or os.cpu_count() or 1
        self.cores = max(LEAST_CORES, CORES_SHARE * (self._machine_cores - 1))
        self._booked: dict[str, float] = {}
        self._lock = threading.Lock()

    def book(self, session: str, pictures: Pictures) -> None:
        """What the session had booked before is replaced. Raises OverloadError where there is no
        room, and what was booked stays."""
        wanted = pictures.cores(self._cost())
        with self._lock:
            others = [cores for name, cores in self._booked.items() if name != session]
            if sum(others) + wanted > (self.cores if others else self._machine_cores):
                raise OverloadError(self._refusal(pictures, wanted, others))
            self._booked[session] = wanted

    def release(self, session: str) -> None:
        """Nothing where it has nothing."""
        with self._lock:
            self._booked.pop(session, None)

    @property
    def load(self) -> float:
        """Cores that are booked."""
        with self._lock:
            return sum(self._booked.values())

    def _refusal(self, pictures: Pictures, wanted: float, others: list[float]) -> str:
        width, height = pictures.size
        most = self.cores if others else self._machine_cores
        free = max(0.0, most - sum(others))
        beside = f" beside {len(others)} other{'s' * (len(others) > 1)}" if others else ""
        return (
            f"a camera of {width}x{height} at {pictures.rate_hz:.0f} Hz takes {wanted:.2f} cores to"
            f" decode and encode; {free:.2f} of {most:.2f} are free{beside}: take a smaller or"
            " slower one, or switch the camera of another tab off"
        )


@cache
def codec_budget() -> CodecBudget:
    """The process's: all servers in it share the machine."""
    return CodecBudget()


@cache
def measured_cost() -> CodecCost:
    """On this machine, once. Processor time, so that what else runs is not counted."""
    try:
        small, usual = (timed_codec(size) for size in (SMALL, USUAL))
    except (ImportError, AttributeError, TypeError):
        return BELIEVED
    more_pixels = USUAL[0] * USUAL[1] - SMALL[0] * SMALL[1]

    def line(small_ns: float, usual_ns: float) -> Cost:
        pixel_ns = max(0.0, usual_ns - small_ns) / more_pixels
        return Cost(max(0.0, usual_ns - pixel_ns * USUAL[0] * USUAL[1]), pixel_ns)

    return CodecCost(*(line(*both) for both in zip(small, usual, strict=True)))


def timed_codec(size: tuple[int, int]) -> tuple[float, float]:
    """Nanoseconds on this thread to decode and to encode a picture, conversions counted in: of a
    face that moves, for a still picture costs next to nothing."""
    from aiortc import RTCRtpCodecParameters
    from aiortc.codecs import depayload, get_decoder, get_encoder
    from aiortc.jitterbuffer import JitterFrame

    vp8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=VIDEO_CLOCK_HZ)
    encoder, decoder = get_encoder(vp8), cast(Any, get_decoder(vp8))
    still = typical_frame(size).pixels
    decoding_ns = encoding_ns = 0
    for k in range(WARM_UP_RUNS + RUNS):
        pixels = np.roll(still, MOTION_PX * k, axis=1)
        began_ns = time.thread_time_ns()
        payloads, timestamp = encoder.encode(sent_picture(pixels, k * FRAME_TICKS))
        encoded_ns = time.thread_time_ns()
        data = b"".join(depayload(vp8, payload) for payload in payloads)
        for picture in decoder.decode(JitterFrame(data=data, timestamp=timestamp)):
            picture.to_ndarray(format="bgr24")
        decoded_ns = time.thread_time_ns()
        if k >= WARM_UP_RUNS:
            encoding_ns += encoded_ns - began_ns
            decoding_ns += decoded_ns - encoded_ns
    return decoding_ns / RUNS, encoding_ns / RUNS


def sent_picture(pixels: Pixels, ticks: int) -> Any:
    """PyAV's frame, as a track gives it to the encoder."""
    picture = pyav("a picture in the browser").VideoFrame.from_ndarray(pixels, format="bgr24")
    picture.pts, picture.time_base = ticks, fractions.Fraction(1, VIDEO_CLOCK_HZ)
    return picture
