"""Pictures out of any container that FFmpeg reads, through PyAV.

Files are strangers': sizes and rates are bounded, a playlist in a file cannot reach the network, a
URL has time limits, what cannot be decoded is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bunraku.errors import MediaError
from bunraku.io.video_specs import LEAST_RATE_HZ, LEAST_SIDE, MOST_RATE_HZ, MOST_SIDE
from bunraku.packages import pyav
from bunraku.streaming.video_frame import Pixels

URL = re.compile(r"^(https?|rtsp|rtmps?|srt|udp|rtp|tcp)://", re.IGNORECASE)
URL_PROTOCOLS = "http,https,tcp,tls,udp,rtp,rtsp,rtmp,rtmps,srt,crypto,data,httpproxy"
OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 5.0
DEFAULT_RATE_HZ = 30.0
MOST_PACKETS_TO_FIRST_PICTURE = 2000
MOST_READ_FAILURES = 100
MOST_STEP_S = 60.0
PIXELS_FOR_MORE_THREADS = 1280 * 720


def is_url(path: str | Path) -> bool:
    return URL.match(str(path)) is not None


def open_container(path: str | Path) -> Any:
    """A PyAV input container. Raises MediaError naming what is wrong."""
    av = pyav("reading video")
    remote = is_url(path)
    if not remote and not Path(path).is_file():
        problem = "is not a file" if Path(path).exists() else "does not exist"
        raise MediaError(f"{path}: {problem}; name a video file, or a URL such as rtsp://...")
    try:
        return av.open(
            str(path) if remote else f"file:{Path(path)}",
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S) if remote else None,
            container_options={"protocol_whitelist": URL_PROTOCOLS if remote else "file,crypto"},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path}: not a media file that FFmpeg opens ({reason_of(error)});"
            " check the name, or convert it to MP4"
        ) from error


def reason_of(error: Exception) -> str:
    """FFmpeg's own words without the file name after them."""
    if type(error).__name__ == "ExitError":
        return f"no answer in {OPEN_TIMEOUT_S:.0f} s"
    return str(getattr(error, "strerror", None) or error).split(":")[0].strip()


class VideoReader:
    """One pass through the pictures of a file or stream, in the order of their times.

    size: of every picture, turned as the file says. rate_hz: nominal. duration_s: of the pictures
    as the file says, else of all that is in it; 0 if it says neither. start_s: the file's own time
    of the first picture. corrupt: packets and pictures left out. Raises MediaError; `close` it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.corrupt = 0
        self._av = pyav("reading video")
        self._container = open_container(path)
        try:
            self._stream = self._picture_stream()
            self._frames = self._decoded()
            self._first = next(self._frames, None)
            if self._first is None:
                raise MediaError(f"{path}: no picture in it can be decoded; copy or convert it")
            rotation = int(self._first.rotation) % 360
            self._quarter_turns = rotation // 90 if rotation % 90 == 0 else 0
            height, width = self.pixels_of(self._first).shape[:2]
        except BaseException:
            self.close()
            raise
        self.size = (int(width), int(height))
        self.rate_hz = self._sane_rate()
        self.start_s = self._own_time(self._first) or 0.0
        self.duration_s = self._said_duration()

    def frames(self) -> Iterator[tuple[float, Any]]:
        """(seconds since the first picture, PyAV frame) to the end. Times always grow: a jump of
        the file's clock counts as one period."""
        period_s = 1.0 / self.rate_hz
        shift_s, last_s = self.start_s, -period_s
        frame: Any = self._first
        while frame is not None:
            own_s = self._own_time(frame)
            time_s = last_s + period_s if own_s is None else own_s - shift_s
            if not 0.0 < time_s - last_s < MOST_STEP_S:
                time_s = last_s + period_s
                if own_s is not None:
                    shift_s = own_s - time_s
            last_s = time_s
            yield time_s, frame
            frame = next(self._frames, None)

    def pixels_of(self, frame: Any) -> Pixels:
        """uint8 [height, width, 3], blue first, in the size of the first picture."""
        if not all(LEAST_SIDE <= side <= MOST_SIDE for side in (frame.width, frame.height)):
            raise MediaError(
                f"{self.path}: pictures of {frame.width} x {frame.height};"
                f" use {LEAST_SIDE} to {MOST_SIDE} pixels a side"
            )
        size = getattr(self, "size", None)
        if size is not None and self._quarter_turns % 2 == 1:
            size = size[::-1]
        width, height = size or (frame.width, frame.height)
        pixels = frame.to_ndarray(format="bgr24", width=width, height=height)
        return np.ascontiguousarray(np.rot90(pixels, self._quarter_turns))

    def close(self) -> None:
        self._container.close()

    def _picture_stream(self) -> Any:
        streams = self._container.streams.video
        if not streams:
            raise MediaError(f"{self.path}: holds no pictures; name a video file")
        stream = streams[0]
        codec = stream.codec_context
        if codec is None:
            raise MediaError(f"{self.path}: its pictures are in a format FFmpeg has no decoder for")
        if max(codec.width, codec.height) > MOST_SIDE:
            raise MediaError(
                f"{self.path}: pictures of {codec.width} x {codec.height};"
                f" use at most {MOST_SIDE} pixels a side"
            )
        codec.options = {"max_pixels": str(MOST_SIDE * MOST_SIDE)}
        if codec.width * codec.height > PIXELS_FOR_MORE_THREADS:
            codec.thread_type = "AUTO"
        else:
            codec.thread_count = 1
        return stream

    def _sane_rate(self) -> float:
        rate = self._stream.average_rate or self._stream.guessed_rate
        if rate is None or not LEAST_RATE_HZ <= rate <= MOST_RATE_HZ:
            return DEFAULT_RATE_HZ
        return float(rate)

    def _said_duration(self) -> float:
        if self._stream.duration:
            return max(0.0, float(self._stream.duration * self._stream.time_base))
        whole = self._container.duration  # as in a Matroska file, which tells no other
        return max(0.0, float(whole / self._av.time_base)) if whole else 0.0

    def _own_time(self, frame: Any) -> float | None:
        if frame.pts is None or frame.time_base is None:
            return None
        return float(frame.pts * frame.time_base)

    def _decoded(self) -> Iterator[Any]:
        packets, any_picture = 0, False
        for packet in self._packets():
            packets += 1
            if not any_picture and packets > MOST_PACKETS_TO_FIRST_PICTURE:
                return
            for frame in self._pictures_of(packet):
                if frame.is_corrupt:
                    self.corrupt += 1
                    continue
                any_picture = True
                yield frame

    def _pictures_of(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except self._av.error.EOFError:
            return []
        except (self._av.error.FFmpegError, MemoryError):
            self.corrupt += 1
            return []

    def _packets(self) -> Iterator[Any]:
        """To the end; damaged places are passed by as long as FFmpeg finds the next packet."""
        failures = 0
        while failures < MOST_READ_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    if packet.is_corrupt:
                        self.corrupt += 1
                    else:
                        yield packet
                return
            except self._av.error.EOFError:
                return
            except self._av.error.InvalidDataError:
                failures += 1
                self.corrupt += 1
            except self._av.error.FFmpegError as error:
                raise MediaError(
                    f"{self.path}: reading failed ({reason_of(error)}); is the disk or the"
                    " network still there?"
                ) from error
