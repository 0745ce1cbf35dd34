"""The film for `av_soak.py`: a person, speech, and every two seconds a flash and a click together.
And how both are found again in a recording."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bunraku.io.audio_files import read_audio
from bunraku.io.pattern import draw_time_code
from bunraku.io.portrait import Portrait
from bunraku.io.video_file_audio import read_file_audio
from bunraku.io.video_reader import VideoReader
from bunraku.io.video_specs import PortraitSpec, RecordingSpec
from bunraku.io.video_writer import VideoWriter
from bunraku.measure.marker import find_marker, marker
from bunraku.samples import PORTRAIT_PATH, SPEECH_PATH
from bunraku.streaming.video_frame import VideoFrame

RATE_HZ, FRAME_RATE_HZ = 48_000, 30
EVERY_S, FIRST_S, FLASH_FRAMES = 2, 1, 4
QUIET_BEFORE_S, QUIET_AFTER_S = 0.1, 0.4
CLICK_GAIN = 2.0
SEARCH_S = 0.5
LEAST_RISE = 0.5


@dataclass(frozen=True)
class Event:
    """Seconds in a recording; skew_ms: how much later the flash is than the click. whole: all
    frames of the flash are there, so that its first one is its beginning."""

    flash_s: float
    click_s: float
    skew_ms: float
    whole: bool


def flashes(number: int) -> bool:
    return (number - FIRST_S * FRAME_RATE_HZ) % (EVERY_S * FRAME_RATE_HZ) < FLASH_FRAMES


def make_film(path: Path, seconds: int, size: tuple[int, int] = (640, 480)) -> None:
    """H.264 and AAC: the portrait under a moving camera, a time code, flashes; speech, clicks."""
    source = Portrait(PortraitSpec(PORTRAIT_PATH, size, FRAME_RATE_HZ))
    spec = RecordingSpec(path, rate_hz=FRAME_RATE_HZ, sample_rate_hz=RATE_HZ, overwrite=True)
    writer = VideoWriter(spec)
    writer.start()
    sound = film_sound(seconds)
    per_frame = RATE_HZ // FRAME_RATE_HZ
    for number in range(seconds * FRAME_RATE_HZ):
        time_ns = round(number * 1e9 / FRAME_RATE_HZ)
        pixels = source.picture(number, time_ns)
        draw_time_code(pixels, time_ns, number)
        if flashes(number):
            pixels[:] = 255
        writer.show(VideoFrame(pixels, time_ns, number))
        writer.write_audio(sound[number * per_frame : (number + 1) * per_frame], time_ns)
        while number - writer.shown > 30 and writer.error is None:
            time.sleep(0.002)
    writer.stop()
    if writer.error is not None:
        raise writer.error
    assert writer.dropped == 0, "the film is whole"


def film_sound(seconds: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 [frames, 1]: speech that is silent around each click."""
    speech = read_audio(SPEECH_PATH, sample_rate_hz=RATE_HZ).samples.mean(axis=1)
    frames = seconds * RATE_HZ
    sound = np.resize(speech, frames).astype(np.float32)
    click = CLICK_GAIN * marker(RATE_HZ)
    for at_s in range(FIRST_S, seconds, EVERY_S):
        at = at_s * RATE_HZ
        quiet = slice(at - round(QUIET_BEFORE_S * RATE_HZ), at + round(QUIET_AFTER_S * RATE_HZ))
        sound[quiet] = 0.0
        sound[at : at + len(click)] += click[: frames - at]
    return sound[:, None]


def find_events(path: Path) -> list[Event]:
    """Each flash of a recording with its click."""
    times, levels = brightness(path)
    sound = read_file_audio(path, RATE_HZ)
    assert sound is not None, "the recording has sound"
    heard = sound.mean(axis=1)
    usual = float(np.median(levels))
    bright = levels > usual + LEAST_RISE * (float(levels.max()) - usual)
    events = []
    for k in np.flatnonzero(bright[1:] & ~bright[:-1]) + 1:
        from_s = times[k] - SEARCH_S
        if from_s < 0.0:
            continue
        found = find_marker(heard[round(from_s * RATE_HZ) :], RATE_HZ, 0, RATE_HZ)
        if found is None or not found.clear:
            continue
        click_s = round(from_s * RATE_HZ) / RATE_HZ + found.delay_frames / RATE_HZ
        whole = bool(bright[k : k + FLASH_FRAMES].sum() == FLASH_FRAMES)
        flash_s = float(times[k])
        events.append(Event(flash_s, click_s, 1e3 * (flash_s - click_s), whole))
    return events


def brightness(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Seconds and mean luma of each picture."""
    reader = VideoReader(path)
    times, levels = [], []
    try:
        for time_s, frame in reader.frames():
            times.append(time_s)
            levels.append(float(reader.pixels_of(frame)[::8, ::8].mean()))
    finally:
        reader.close()
    return np.array(times), np.array(levels)
