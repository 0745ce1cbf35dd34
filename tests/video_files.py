"""Short recordings with flashes and clicks at known times, made by the writer and read back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bunraku.io.pattern import Pattern, flash_brightness
from bunraku.io.video_file_audio import read_file_audio
from bunraku.io.video_reader import VideoReader
from bunraku.io.video_specs import PatternSpec, RecordingSpec
from bunraku.io.video_writer import VideoWriter
from bunraku.streaming.video_frame import VideoFrame

RATE_HZ = 48_000
BLOCK_FRAMES = 1024
ORIGIN_NS = 5_000_000_000
CLICK = np.hanning(49).astype(np.float32)  # one millisecond

Floats = npt.NDArray[np.float64]


def record(
    path: Path,
    *,
    seconds: float,
    size: tuple[int, int] = (160, 120),
    rate_hz: float = 30.0,
    every_s: float = 2.0,
    ppm: float = 0.0,
    lost_s: tuple[float, float] = (0.0, 0.0),
    jitter_ns: int = 0,
    crf: int = 21,
) -> VideoWriter:
    """A flash and a click `every_s`, with a sound card whose clock is `ppm` too fast; between the
    two times of `lost_s` no sound arrives. Times are simulated; the queue is waited for."""
    writer = VideoWriter(
        RecordingSpec(path, rate_hz=rate_hz, crf=crf, preset="ultrafast", sample_rate_hz=RATE_HZ)
    )
    writer.start()
    frames = test_frames(seconds, size, rate_hz, every_s)
    blocks = click_blocks(seconds, every_s, ppm, jitter_ns)
    block = next(blocks, None)
    for frame in frames:
        writer.show(frame)
        while block is not None and block[1] < frame.time_ns:
            since_s = (block[1] - ORIGIN_NS) / 1e9
            if not lost_s[0] <= since_s < lost_s[1]:
                writer.write_audio(*block)
            block = next(blocks, None)
        while len(writer._queue) > 20:
            time.sleep(0.001)
    writer.stop()
    return writer


def test_frames(
    seconds: float, size: tuple[int, int], rate_hz: float, every_s: float
) -> Iterator[VideoFrame]:
    source = Pattern(PatternSpec(size, rate_hz, flash_every_s=every_s))
    source.started_ns = ORIGIN_NS
    for number in range(round(seconds * rate_hz)):
        due_ns = source.due_ns(number)
        yield VideoFrame(source.picture(number, due_ns), due_ns, number)


test_frames.__test__ = False  # type: ignore[attr-defined]


def click_blocks(
    seconds: float, every_s: float, ppm: float, jitter_ns: int
) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
    """Blocks of [frames, 1] and their times; a click's middle is at the moment of the flash."""
    true_hz = RATE_HZ * (1.0 + ppm * 1e-6)
    random = np.random.default_rng(7)
    clicks = [round(k * every_s * true_hz) for k in range(1, int(seconds / every_s) + 1)]
    for start in range(0, round(seconds * true_hz), BLOCK_FRAMES):
        block = np.zeros((BLOCK_FRAMES, 1), np.float32)
        for click in clicks:
            for k, value in enumerate(CLICK):
                place = click - len(CLICK) // 2 + k - start
                if 0 <= place < BLOCK_FRAMES and abs(click - start) < 2 * BLOCK_FRAMES:
                    block[place] = value
        jitter = int(random.integers(-jitter_ns, jitter_ns + 1))
        yield block, ORIGIN_NS + round(start / true_hz * 1e9) + jitter


def flash_times(path: Path) -> Floats:
    """Seconds of the file at which the picture turns white."""
    reader = VideoReader(path)
    times, was = [], False
    for time_s, frame in reader.frames():
        bright = flash_brightness(reader.pixels_of(frame)) > 128
        if bright and not was:
            times.append(time_s)
        was = bright
    reader.close()
    return np.array(times)


def click_times(path: Path) -> Floats:
    """Seconds of the file at which the middle of a click is heard."""
    sound = read_file_audio(path, RATE_HZ)
    assert sound is not None
    level = np.abs(sound[:, 0])
    times = []
    while level.max() > 0.3:
        middle = int(level.argmax())
        near = slice(max(0, middle - 100), middle + 100)
        places = np.arange(len(level))[near]
        times.append(float((places * level[near] ** 2).sum() / (level[near] ** 2).sum()) / RATE_HZ)
        level[max(0, middle - 4000) : middle + 4000] = 0.0
    return np.array(sorted(times))
