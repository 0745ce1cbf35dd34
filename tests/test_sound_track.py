"""A recording's sound by times that cannot be: bounded silence, sound that goes on, an end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("av", reason="PyAV is not installed: pip install 'bunraku[video]'")

from bunraku.io import video_writer
from bunraku.io.sound_track import MOST_BRIDGE_S, SoundTrack
from bunraku.io.video_muxer import VideoMuxer
from bunraku.io.video_specs import RecordingSpec
from bunraku.io.video_writer import VideoWriter
from bunraku.streaming.video_frame import VideoFrame

RATE_HZ = 48_000
NS_PER_S = 1_000_000_000
ORIGIN_NS = 10**12
FAR_NS = ORIGIN_NS + 10 * 3600 * NS_PER_S

Samples = npt.NDArray[np.float32]


def ones(seconds: float) -> Samples:
    return np.ones((round(seconds * RATE_HZ), 1), np.float32)


def frames_of(pieces: Iterator[Samples]) -> int:
    return sum(len(piece) for piece in pieces)


def test_a_block_of_the_far_future_makes_no_silence() -> None:
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    heard = frames_of(track.add(ones(1.0), ORIGIN_NS))
    heard += frames_of(track.add(ones(0.01), FAR_NS))
    heard += frames_of(track.add(ones(1.0), ORIGIN_NS + NS_PER_S))  # 10 ms of it were there
    assert heard + len(track.finish()) == pytest.approx(2.0 * RATE_HZ, abs=40)
    assert track.silent_frames == 0


def test_a_clock_that_stays_ahead_still_makes_a_whole_track() -> None:
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    pieces = list(track.add(ones(1.0), ORIGIN_NS))
    for k in range(100):
        pieces += track.add(ones(0.02), FAR_NS + k * NS_PER_S // 50)
    heard = np.concatenate([*pieces, track.finish()])[:, 0]
    assert len(heard) == pytest.approx(3.0 * RATE_HZ, abs=2)
    assert heard[RATE_HZ + 200 : -200].min() > 0.99, "without a gap"


def test_many_jumps_are_not_bridged_for_longer_than_one() -> None:
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    heard = 0
    for k in range(200):
        heard += frames_of(track.add(ones(0.005), ORIGIN_NS + 9 * k * NS_PER_S))
    assert heard <= (2 * MOST_BRIDGE_S + 200 * 0.005) * RATE_HZ


def test_pictures_lead_a_track_on_ten_seconds_at_once() -> None:
    """Sound and picture that both stood still for a minute are in step again soon after."""
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    frames_of(track.add(ones(1.0), ORIGIN_NS))
    later_ns = ORIGIN_NS + 60 * NS_PER_S
    for k in range(30):
        frames_of(track.add(ones(0.033), later_ns + k * NS_PER_S * 33 // 1000))
        filled = frames_of(track.fill_to(later_ns + k * NS_PER_S * 33 // 1000 - 2 * NS_PER_S))
        assert filled <= (MOST_BRIDGE_S + 0.1) * RATE_HZ
    # no gap and nothing cut any more: the next block belongs where the track ends
    silent, cut = track.silent_frames, track.cut_frames
    frames_of(track.add(ones(0.033), later_ns + 990_000_000))
    assert (track.silent_frames, track.cut_frames) == (silent, cut)
    assert track.frames == pytest.approx(61.02 * RATE_HZ, abs=0.02 * RATE_HZ)


def frame(k: int) -> VideoFrame:
    return VideoFrame(np.zeros((64, 64, 3), np.uint8), ORIGIN_NS + k * NS_PER_S // 30, k)


def test_a_recording_with_a_block_of_the_far_future_ends_and_stays_small(tmp_path: Path) -> None:
    import av

    spec = RecordingSpec(tmp_path / "a.mp4", rate_hz=30.0, sample_rate_hz=RATE_HZ)
    writer = VideoWriter(spec)
    writer.start()
    for k in range(30):
        writer.show(frame(k))
        writer.write_audio(ones(1 / 30), frame(k).time_ns)
    writer.write_audio(ones(0.01), FAR_NS)
    began = time.monotonic()
    writer.stop()
    assert time.monotonic() - began < 8.0
    assert writer.error is None
    with av.open(str(spec.path)) as file:
        (sound,) = file.streams.audio
        assert sum(one.samples for one in file.decode(sound)) < 3 * RATE_HZ


def test_what_is_not_encoded_in_time_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_writer, "FINISH_TIMEOUT_S", 0.3)
    add_sound = VideoMuxer.add_sound

    def slow(self: VideoMuxer, samples: Samples, time_ns: int) -> None:
        time.sleep(0.1)
        add_sound(self, samples, time_ns)

    monkeypatch.setattr(VideoMuxer, "add_sound", slow)
    writer = VideoWriter(RecordingSpec(tmp_path / "a.mp4", rate_hz=30.0, sample_rate_hz=RATE_HZ))
    writer.start()
    writer.show(frame(0))
    for k in range(200):
        writer.write_audio(ones(0.01), ORIGIN_NS + k * NS_PER_S // 100)
    writer.stop()
    assert "not finished" in str(writer.error)
    thread = writer._thread
    assert thread is not None
    thread.join(3.0)
    assert not thread.is_alive(), "it does not go on for the other 20 s"
