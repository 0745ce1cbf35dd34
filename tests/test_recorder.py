"""The recorder: every frame under the number it was played with, whatever was lost in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gain_models import gain_bytes

soundfile = pytest.importorskip("soundfile")

from bunraku import _native  # noqa: E402
from bunraku.io.audio_files import Samples  # noqa: E402
from bunraku.session.recorder import CHUNK_FRAMES, Recorder  # noqa: E402

RATE_HZ = 48_000
BLOCK_FRAMES = 100
FADE_FRAMES = 480


class NumberedVoice:
    """An engine whose input is the number of each frame, over 1e6; called from the test."""

    def __init__(self, *, capture_frames: int) -> None:
        stream = _native.Stream(
            _native.Model(gain_bytes(0.0)), sample_rate_hz=RATE_HZ, max_block_frames=BLOCK_FRAMES
        )
        self.engine = _native.LiveEngine(
            stream,
            sample_rate_hz=RATE_HZ,
            input_channels=1,
            output_channels=1,
            capture_seconds=capture_frames / RATE_HZ,
        )
        self.frames = 0

    def play(self, blocks: int) -> None:
        for _ in range(blocks):
            numbers = np.arange(self.frames, self.frames + BLOCK_FRAMES, dtype=np.float32) / 1e6
            self.engine.call(numbers[:, None])
            self.frames += BLOCK_FRAMES

    @property
    def lost(self) -> int:
        return int(self.engine.stats()["capture_dropped_frames"])


class Pieces:
    """An engine's capture that was read beforehand."""

    channels = 1

    def __init__(self, pieces: list[tuple[int, Samples]]) -> None:
        self._pieces = list(pieces)

    def read_capture(self, most_frames: int) -> tuple[int, Samples]:
        return self._pieces.pop(0) if self._pieces else (0, np.zeros((0, 2), np.float32))


def piece(first: int, frames: int) -> tuple[int, Samples]:
    """Input: the number of each frame; output: its negative."""
    numbers = np.arange(first, first + frames, dtype=np.float32)
    return first, np.stack([numbers, -numbers], axis=1)


class Taken:
    def __init__(self) -> None:
        self.pieces: list[tuple[int, Samples]] = []

    def __call__(self, first_frame: int, samples: Samples) -> None:
        self.pieces.append((first_frame, samples.copy()))

    @property
    def frames(self) -> int:
        return sum(len(samples) for _, samples in self.pieces)

    def numbers_are_right(self) -> bool:
        """All but what fades in, whose samples are not their numbers."""
        return all(
            np.allclose(samples[:, 0], np.arange(first, first + len(samples)) / 1e6, atol=1e-7)
            for first, samples in self.pieces
            if first >= FADE_FRAMES
        )


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10.0
    while not done() and time.monotonic() < end:
        time.sleep(0.002)
    assert done(), "waited ten seconds in vain"


def test_frames_read_after_an_overflow_keep_their_numbers(tmp_path: Path) -> None:
    """What was read from before the gap was numbered as if the gap lay before it."""
    voice = NumberedVoice(capture_frames=1000)
    path, taken = tmp_path / "out.wav", Taken()
    recorder = Recorder(
        voice.engine,
        path=path,
        sample_rate_hz=RATE_HZ,
        overwrite=False,
        keep_seconds=1.0,
        take_output=taken,
    )
    voice.play(50)  # five times what fits, and nobody reads
    held = voice.frames - voice.lost
    assert 1000 <= held < 2500
    recorder.start()
    wait_for(lambda: taken.frames == held)
    voice.play(5)
    recorder.stop()

    assert recorder.error is None
    assert taken.pieces[0][0] == 0
    assert taken.numbers_are_right()
    assert taken.frames + voice.lost == voice.frames == 5500
    written, _ = soundfile.read(path, dtype="float32")
    expected = np.arange(5500, dtype=np.float32) / 1e6
    expected[held:5000] = 0.0
    np.testing.assert_allclose(written[FADE_FRAMES:], expected[FADE_FRAMES:], atol=1e-7)
    came, played = recorder.kept()
    np.testing.assert_allclose(came[:, 0], expected, atol=1e-7)
    np.testing.assert_array_equal(played[:, 0], written)


def test_a_reader_that_falls_behind_again_and_again() -> None:
    voice = NumberedVoice(capture_frames=1000)
    taken, may_read = Taken(), threading.Event()

    def take_slowly(first_frame: int, samples: Samples) -> None:
        may_read.wait(10.0)
        may_read.clear()
        taken(first_frame, samples)

    recorder = Recorder(
        voice.engine,
        path=None,
        sample_rate_hz=RATE_HZ,
        overwrite=False,
        keep_seconds=0.0,
        take_output=take_slowly,
    )
    recorder.start()
    for _ in range(6):
        voice.play(40)
        before = len(taken.pieces)
        may_read.set()
        wait_for(lambda before=before: len(taken.pieces) > before)  # type: ignore[misc]
    stopper = threading.Thread(target=recorder.stop)
    stopper.start()
    while stopper.is_alive():
        may_read.set()
        time.sleep(0.002)
    assert recorder.error is None
    assert voice.lost > 0
    assert taken.numbers_are_right()
    ends = [first + len(samples) for first, samples in taken.pieces]
    gaps = [first - end for (first, _), end in zip(taken.pieces[1:], ends[:-1], strict=True)]
    assert min(gaps) >= 0
    assert sum(gap > 0 for gap in gaps) >= 2
    assert taken.frames + voice.lost == voice.frames


def test_what_is_kept_is_silent_where_frames_were_lost() -> None:
    """Over several chunks, and no more than was asked for."""
    far = 3 * CHUNK_FRAMES
    taken = Taken()
    recorder = Recorder(
        Pieces([piece(0, 50), piece(far, 20), piece(far + 20, 500)]),
        path=None,
        sample_rate_hz=1,
        overwrite=False,
        keep_seconds=far + 100,
        take_output=taken,
    )
    recorder.start()
    recorder.stop()
    came, played = recorder.kept()
    assert came.shape == played.shape == (far + 100, 1)
    expected = np.arange(far + 100, dtype=np.float32)
    expected[50:far] = 0.0
    np.testing.assert_array_equal(came[:, 0], expected)
    np.testing.assert_array_equal(played[:, 0], -expected)
    assert [(first, len(samples)) for first, samples in taken.pieces] == [
        (0, 50),
        (far, 20),
        (far + 20, 500),
    ]


def test_an_error_ends_the_recording_and_is_told(tmp_path: Path) -> None:
    def fail(first_frame: int, samples: Samples) -> None:
        raise OSError("no space left")

    path = tmp_path / "out.wav"
    recorder = Recorder(
        Pieces([piece(0, 50)]),
        path=path,
        sample_rate_hz=RATE_HZ,
        overwrite=False,
        keep_seconds=1.0,
        take_output=fail,
    )
    recorder.start()
    recorder.stop()
    recorder.stop()
    assert isinstance(recorder.error, OSError)
    assert len(soundfile.read(path)[0]) == 0
