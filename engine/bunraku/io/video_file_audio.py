"""The sound of a video file, in step with its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bunraku.errors import MediaError, UserInputError
from bunraku.io.audio_files import MOST_CHANNELS, Samples
from bunraku.io.video_reader import MOST_READ_FAILURES, open_container
from bunraku.packages import pyav

LEAST_RATE_HZ, MOST_RATE_HZ = 8_000, 384_000
GAP_S = 0.02


def read_file_audio(
    path: str | Path,
    sample_rate_hz: int,
    *,
    seconds: float | None = None,
    most_seconds: float = 3600.0,
) -> Samples | None:
    """float32 [frames, channels]; frame 0 sounds when the first picture is seen. None: no sound.

    seconds: cut or padded with silence to this length, so that sound and pictures of a loop stay
    together. Gaps and damaged packets are silence. Raises MediaError, UserInputError.
    """
    if not LEAST_RATE_HZ <= sample_rate_hz <= MOST_RATE_HZ:
        raise UserInputError(
            f"sample_rate_hz is {sample_rate_hz}: give {LEAST_RATE_HZ:,} to {MOST_RATE_HZ:,}"
        )
    if seconds is not None and seconds > most_seconds:
        raise too_long(path, most_seconds)
    av = pyav("reading video")
    container = open_container(path)
    try:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        start_s = _picture_start_s(container)
        track = _Track(sample_rate_hz, round(most_seconds * sample_rate_hz))
        for time_s, samples in _sound(av, container, stream, sample_rate_hz, path):
            if not track.add(samples, None if time_s is None else time_s - start_s):
                raise too_long(path, most_seconds)
        whole = track.whole()
    finally:
        container.close()
    if seconds is None:
        return whole
    frames = round(seconds * sample_rate_hz)
    return np.pad(whole[:frames], ((0, max(0, frames - len(whole))), (0, 0)))


def too_long(path: str | Path, most_seconds: float) -> MediaError:
    return MediaError(
        f"{path}: over {most_seconds:,.0f} s of sound, which is not kept in memory; cut it"
    )


def _picture_start_s(container: Any) -> float:
    for stream in container.streams.video:
        if stream.start_time is not None:
            return float(stream.start_time * stream.time_base)
    return 0.0


class _Track:
    """Puts pieces where their times say, to within 20 ms; nearer ones follow each other."""

    def __init__(self, sample_rate_hz: int, most_frames: int) -> None:
        self._rate_hz = sample_rate_hz
        self._most_frames = most_frames
        self._pieces: list[Samples] = []
        self._frames = 0

    def add(self, samples: Samples, time_s: float | None) -> bool:
        """False: that would be too long."""
        if time_s is not None:
            missing = round(time_s * self._rate_hz) - self._frames
            if (missing < 0 and self._frames == 0) or missing < -GAP_S * self._rate_hz:
                samples = samples[-missing:]
            elif missing > GAP_S * self._rate_hz or (self._frames == 0 and missing > 0):
                if self._frames + missing > self._most_frames:
                    return False
                self._append(np.zeros((missing, samples.shape[1]), np.float32))
        self._append(samples)
        return self._frames <= self._most_frames

    def _append(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._frames += len(samples)

    def whole(self) -> Samples:
        if not self._pieces:
            return np.zeros((0, 1), np.float32)
        return np.ascontiguousarray(np.concatenate(self._pieces))


def _sound(
    av: Any, container: Any, stream: Any, sample_rate_hz: int, path: str | Path
) -> Iterator[tuple[float | None, Samples]]:
    """(time in the file or None, float32 [frames, channels]) at the wanted rate."""
    channels = stream.codec_context.channels if stream.codec_context is not None else 0
    if not 1 <= channels <= MOST_CHANNELS:
        raise MediaError(f"{path}: sound of {channels} channels; use 1 to {MOST_CHANNELS}")
    layout = stream.codec_context.layout
    convert = av.AudioResampler(format="flt", layout=layout, rate=sample_rate_hz)
    for frame in _frames(av, container, stream):
        if frame.layout.nb_channels != channels or not 1000 <= frame.sample_rate <= 768_000:
            continue
        try:
            pieces = convert.resample(frame)
        except (av.error.FFmpegError, ValueError):  # the format changed in the middle
            convert = av.AudioResampler(format="flt", layout=layout, rate=sample_rate_hz)
            continue
        yield from (_piece(piece, channels) for piece in pieces)
    yield from (_piece(piece, channels) for piece in convert.resample(None))


def _piece(frame: Any, channels: int) -> tuple[float | None, Samples]:
    time_s = None if frame.pts is None else float(frame.pts * frame.time_base)
    samples = frame.to_ndarray().reshape(-1, channels).astype(np.float32, copy=False)
    return time_s, np.nan_to_num(samples, copy=False, posinf=0.0, neginf=0.0)


def _frames(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """What can be decoded; damaged packets are passed by."""
    failures = 0
    while failures < MOST_READ_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    continue
            return
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            failures += 1
