"""The recording: in step, playable when killed, never over somebody's file, honest about drops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import MediaError, UserInputError
from bunraku.io.video_file_audio import read_file_audio
from bunraku.io.video_muxer import VideoMuxer
from bunraku.io.video_reader import VideoReader
from bunraku.io.video_specs import RecordingSpec
from bunraku.io.video_writer import VideoWriter
from bunraku.streaming.video_frame import VideoFrame
from video_files import ORIGIN_NS, click_times, flash_times, record, test_frames

pytest.importorskip("av")


def frame(number: int = 0, size: tuple[int, int] = (64, 48), ms: float = 33.0) -> VideoFrame:
    pixels = np.full((size[1], size[0], 3), number % 256, np.uint8)
    return VideoFrame(pixels, ORIGIN_NS + round(number * ms * 1e6), number)


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 200.0])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_flash_and_click_are_in_step(tmp_path: Path, ppm: float, suffix: str) -> None:
    path = tmp_path / f"step{suffix}"
    writer = record(path, seconds=21.0, ppm=ppm, jitter_ns=300_000)
    assert writer.error is None
    assert (writer.shown, writer.dropped, writer.dropped_sound_frames) == (630, 0, 0)
    flashes, clicks = flash_times(path), click_times(path)
    assert len(flashes) == len(clicks) == 10
    # A Matroska file has whole milliseconds.
    assert np.abs(clicks - flashes).max() < 0.0015


def test_lost_sound_is_silence_and_the_rest_stays_in_step(tmp_path: Path) -> None:
    path = tmp_path / "lost.mp4"
    writer = record(path, seconds=13.0, lost_s=(4.5, 5.3))
    assert writer.silent_frames == pytest.approx(0.8 * 48_000, abs=2048)
    assert np.abs(click_times(path) - flash_times(path)).max() < 0.001


def test_sound_that_never_comes_does_not_hold_the_pictures(tmp_path: Path) -> None:
    writer = VideoWriter(RecordingSpec(tmp_path / "mute.mp4", sample_rate_hz=48_000))
    writer.start()
    for number in range(0, 300):
        writer.show(frame(number))
    writer.stop()
    assert writer.error is None
    assert writer.silent_frames > 7 * 48_000
    assert len(list(VideoReader(writer.path).frames())) == writer.shown == 300


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    writer = VideoWriter(RecordingSpec(tmp_path / "vfr.mp4"))
    writer.start()
    times_ms = [0, 20, 100, 101, 500, 1700]
    for number, ms in enumerate(times_ms):
        writer.show(VideoFrame(frame(number).pixels, ORIGIN_NS + ms * 1_000_000, number))
    writer.show(VideoFrame(frame().pixels, ORIGIN_NS + 1_000_000_000, 9))  # older than the last
    writer.stop()
    assert (writer.shown, writer.dropped) == (6, 1)
    read = [time_s * 1e3 for time_s, _ in VideoReader(writer.path).frames()]
    assert read == pytest.approx(times_ms, abs=0.02)


def test_killed_in_the_middle_it_plays(tmp_path: Path) -> None:
    path = tmp_path / "killed.mp4"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "import video_files\n"
        "real = video_files.VideoWriter.stop\n"
        "def hang(writer):\n"
        "    while writer._queue: time.sleep(0.01)\n"
        "    time.sleep(0.3); print('now', flush=True); time.sleep(60)\n"
        "video_files.VideoWriter.stop = hang\n"
        f"video_files.record(Path({str(path)!r}), seconds=8.5, every_s=2.0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    reader = VideoReader(path)
    assert len(list(reader.frames())) >= 7.0 * 30
    sound = read_file_audio(path, 48_000)
    assert sound is not None
    assert len(sound) > 6.0 * 48_000
    flashes, clicks = flash_times(path)[:3], click_times(path)[:3]
    assert np.abs(clicks - flashes).max() < 0.001


def test_no_file_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(UserInputError, match="exists and is not overwritten"):
        VideoWriter(RecordingSpec(path))
    other = VideoWriter(RecordingSpec(tmp_path / "late.mp4"))
    (tmp_path / "late.mp4").write_bytes(b"precious too")
    with pytest.raises(UserInputError, match="exists and is not overwritten"):
        other.start()
    assert path.read_bytes() == b"precious"
    over = VideoWriter(RecordingSpec(path, overwrite=True))
    over.start()
    over.show(frame())
    over.stop()
    assert over.error is None
    assert VideoReader(path).size == (64, 48)


@pytest.mark.parametrize(
    ("name", "says"),
    [("no/such/a.mp4", "the folder .* does not exist"), ("a.txt", r"'\.txt' is none of")],
)
def test_a_wrong_path_is_refused_at_once(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        VideoWriter(RecordingSpec(tmp_path / name))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"crf": 60}, "crf is 60"),
        ({"bitrate": 5}, "bitrate is 5"),
        ({"preset": "placebo"}, "preset is 'placebo'"),
        ({"sample_rate_hz": 12345}, "AAC takes"),
        ({"channels": 6}, "channels is 6"),
        ({"rate_hz": float("nan")}, "rate_hz is nan"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        RecordingSpec("a.mp4", **settings)  # type: ignore[arg-type]


def test_a_full_queue_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    real = VideoWriter._first_picture

    def wait_first(writer: VideoWriter) -> VideoFrame | None:
        go_on.wait(10)
        return real(writer)

    monkeypatch.setattr(VideoWriter, "_first_picture", wait_first)
    monkeypatch.setattr("bunraku.io.video_writer.MOST_QUEUED_BYTES", 10 * frame().pixels.nbytes)
    writer = VideoWriter(RecordingSpec(tmp_path / "full.mp4", sample_rate_hz=48_000))
    writer.start()
    for number in range(25):
        writer.show(frame(number))
    for second in range(12):
        writer.write_audio(np.zeros((48_000, 1), np.float32), ORIGIN_NS + second * 10**9)
    go_on.set()
    writer.stop()
    assert (writer.shown, writer.dropped) == (10, 15)
    assert writer.dropped_sound_frames == 2 * 48_000


def test_a_full_disk_is_an_error_and_frames_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = VideoMuxer._encode

    def disk_full(muxer: VideoMuxer, stream: Any, picture: Any) -> None:
        if picture is not None and picture.pts > 0:
            raise muxer._failed("writing failed", OSError(28, "No space left on device"))
        real(muxer, stream, picture)

    monkeypatch.setattr(VideoMuxer, "_encode", disk_full)
    writer = VideoWriter(RecordingSpec(tmp_path / "full.mp4"))
    writer.start()
    for number in range(5):
        writer.show(frame(number))
    writer.stop()
    assert isinstance(writer.error, MediaError)
    assert "No space left on device); is the disk full" in str(writer.error)
    writer.show(frame(6))
    assert writer.shown + writer.dropped == 5  # the sixth failed inside the encoder
    assert writer.dropped >= 1


def test_odd_and_changing_sizes(tmp_path: Path) -> None:
    writer = VideoWriter(RecordingSpec(tmp_path / "odd.mp4"))
    writer.start()
    writer.show(frame(0, (101, 77)))
    writer.show(frame(1, (320, 240)))
    writer.show(frame(2, (8, 8)))  # too small for a recording
    writer.stop()
    assert (writer.error, writer.shown, writer.dropped) == (None, 2, 1)
    assert VideoReader(writer.path).size == (100, 76)


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    writer = VideoWriter(RecordingSpec(tmp_path / "none.mp4", sample_rate_hz=48_000))
    writer.start()
    for second in range(20):
        writer.write_audio(np.zeros((48_000, 2), np.float32), ORIGIN_NS + second * 10**9)
    writer.stop()
    assert writer.error is None
    assert not writer.path.exists()
    with pytest.raises(UserInputError, match="finished"):
        writer.start()


def test_sound_needs_a_rate(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match="sample_rate_hz, such as 48000"):
        VideoWriter(RecordingSpec(tmp_path / "a.mp4")).write_audio(np.zeros((1, 1), np.float32), 0)
    with pytest.raises(UserInputError, match="shape"):
        VideoWriter(RecordingSpec(tmp_path / "a.mp4", sample_rate_hz=48_000)).write_audio(
            np.zeros(5, np.float32), 0
        )


def test_test_frames_are_as_asked() -> None:
    assert len(list(test_frames(1.0, (160, 120), 30.0, 2.0))) == 30
