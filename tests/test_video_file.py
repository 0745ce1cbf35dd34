"""Files as sources: their times, their sound, their ends, and what a hostile one may not do."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import MediaError, UserInputError
from bunraku.io.portrait import Portrait
from bunraku.io.time_code import read_time_code
from bunraku.io.video_file import VideoFile
from bunraku.io.video_file_audio import read_file_audio
from bunraku.io.video_reader import VideoReader, open_container
from bunraku.io.video_specs import FileSpec, PortraitSpec
from bunraku.streaming.video_frame import VideoFrame
from video_files import ORIGIN_NS, record

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    record(path, seconds=2.0, size=(320, 240), every_s=0.5)
    return path


def play(source: VideoFile, most: int = 10_000) -> list[VideoFrame]:
    frames: list[VideoFrame] = []
    enough = threading.Event()

    def put(frame: VideoFrame) -> None:
        if not enough.is_set():
            frames.append(frame)
        if len(frames) == most:
            enough.set()

    source.start(put)
    end = time.monotonic() + 30
    while not source.ended and not enough.is_set() and time.monotonic() < end:
        time.sleep(0.005)
    source.stop()
    return frames


def test_every_picture_in_order(clip: Path) -> None:
    source = VideoFile(FileSpec(clip, real_time=False))
    assert (source.size, source.rate_hz, source.duration_s) == ((320, 240), 30.0, 2.0)
    frames = play(source)
    assert [frame.number for frame in frames] == list(range(60))
    codes = [read_time_code(frame.pixels) for frame in frames]
    assert [code[1] for code in codes if code] == list(range(60))
    times = np.array([frame.time_ns - frames[0].time_ns for frame in frames])
    assert np.abs(times - np.arange(60) / 30 * 1e9).max() < 20_000
    assert source.ended
    assert source.error is None


def test_paced_frames_are_never_early(clip: Path) -> None:
    source = VideoFile(FileSpec(clip))
    late: list[int] = []
    source.start(lambda frame: late.append(time.monotonic_ns() - frame.time_ns))
    while not source.ended:
        time.sleep(0.01)
    assert len(late) + source.dropped == 60
    assert min(late) >= 0


def test_late_frames_are_dropped_not_queued(clip: Path) -> None:
    source = VideoFile(FileSpec(clip))
    shown: list[VideoFrame] = []

    def slow(frame: VideoFrame) -> None:
        shown.append(frame)
        time.sleep(0.15)

    source.start(slow)
    while not source.ended:
        time.sleep(0.01)
    assert source.dropped == 60 - len(shown)
    assert len(shown) <= 16
    assert shown[-1].time_ns - shown[0].time_ns > 1.0e9  # the end comes when it should


def test_a_loop_goes_on_in_time(clip: Path) -> None:
    frames = play(VideoFile(FileSpec(clip, loop=True, real_time=False)), most=150)
    times = np.array([frame.time_ns - frames[0].time_ns for frame in frames])
    assert np.abs(times - np.arange(150) / 30 * 1e9).max() < 100_000
    assert [frame.number for frame in frames] == list(range(150))
    code = read_time_code(frames[121].pixels)
    assert code == (ORIGIN_NS + round(1e9 / 30), 1)


def test_sound_and_pictures_share_their_beginning(clip: Path) -> None:
    sound = read_file_audio(clip, 44_100)
    assert sound is not None
    assert (sound.dtype, sound.shape[1]) == (np.float32, 1)
    for second in (0.5, 1.0, 1.5):
        near = np.abs(sound[round((second - 0.1) * 44_100) : round((second + 0.1) * 44_100), 0])
        assert (near.argmax() / 44_100 - 0.1) == pytest.approx(0.0, abs=0.001)
    looped = read_file_audio(clip, 48_000, seconds=2.5)
    assert looped is not None
    assert looped.shape == (120_000, 1)
    with pytest.raises(MediaError, match="not kept in memory"):
        read_file_audio(clip, 48_000, most_seconds=0.5)
    with pytest.raises(UserInputError, match="sample_rate_hz is 1"):
        read_file_audio(clip, 1)


def damaged(clip: Path, path: Path, *, holes: int) -> Path:
    data = bytearray(clip.read_bytes())
    random = np.random.default_rng(5)
    for place in random.integers(len(data) // 3, len(data) - 64, holes):
        data[place : place + 32] = random.bytes(32)
    path.write_bytes(data)
    return path


def test_damaged_packets_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "whole.mkv"
    record(path, seconds=4.0, size=(320, 240))
    source = VideoFile(FileSpec(damaged(path, tmp_path / "holes.mkv", holes=12), real_time=False))
    frames = play(source)
    assert source.error is None
    assert source.corrupt > 0
    assert 20 < len(frames) < 120
    assert read_file_audio(tmp_path / "holes.mkv", 48_000) is not None


@pytest.mark.parametrize("seed", range(12))
def test_any_bytes_end_in_an_error_or_frames(clip: Path, tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(clip.read_bytes())
    for place in random.integers(0, len(data), 1 + 10 * seed):
        data[place] = random.integers(256)
    path = tmp_path / "strange.mp4"
    path.write_bytes(data[: len(data) - seed * len(data) // 20])
    try:
        frames = play(VideoFile(FileSpec(path, real_time=False)))
    except MediaError:
        return
    assert all(frame.size == frames[0].size for frame in frames)


def test_a_cut_file_plays_as_far_as_it_goes(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size * 3 // 4])
    source = VideoFile(FileSpec(path, real_time=False))
    assert 20 <= len(play(source)) < 60
    assert source.error is None


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.mp4", None, "does not exist; name a video file"),
        ("text.mp4", b"hello" * 100, "not a media file that FFmpeg opens"),
        ("empty.mkv", b"", "not a media file"),
    ],
)
def test_no_video(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=says):
        VideoFile(FileSpec(path))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(path, np.zeros(4800, np.float32), 48_000)
    with pytest.raises(MediaError, match="holds no pictures"):
        VideoFile(FileSpec(path))
    sound = read_file_audio(path, 48_000)
    assert sound is not None
    assert len(sound) == 4800


def test_huge_pictures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.y4m"
    path.write_bytes(b"YUV4MPEG2 W16000 H16 F30:1 C420\nFRAME\n" + bytes(16000 * 16 * 3 // 2))
    with pytest.raises(MediaError, match="at most 8192 pixels a side"):
        VideoFile(FileSpec(path))


def test_a_playlist_in_a_file_reaches_no_network(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        VideoFile(FileSpec(path))


def test_a_url_that_answers_nothing_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr("bunraku.io.video_reader.OPEN_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/live.ts"
        with pytest.raises(MediaError, match="not a media file that FFmpeg opens"):
            open_container(url)


def write_video(path: Path, times: list[int], time_base: Fraction) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = time_base
        for pts in times:
            frame: Any = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "bgr24")
            frame.pts, frame.time_base = pts, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_hostile_clock_makes_nobody_wait(tmp_path: Path) -> None:
    path = tmp_path / "jump.mkv"
    write_video(path, [0, 33, 66, 3_600_000, 3_600_033], Fraction(1, 1000))
    reader = VideoReader(path)
    times = [time_s for time_s, _ in reader.frames()]
    reader.close()
    assert times[-1] < 1.0
    assert times == sorted(times)


def times_ms(count: int) -> list[int]:
    """Of frames at 30 Hz."""
    return [round(1000 * k / 30) for k in range(count)]


def test_a_short_matroska_file_loops_in_its_time(tmp_path: Path) -> None:
    """Rounds that count as nothing would be one busy loop of frames that are all too late."""
    write_video(tmp_path / "short.mkv", times_ms(9), Fraction(1, 1000))
    source = VideoFile(FileSpec(tmp_path / "short.mkv", loop=True, real_time=False))
    assert source.duration_s == pytest.approx(0.3, abs=0.005)
    times = np.array([frame.time_ns for frame in play(source, most=90)])
    assert np.abs(times - times[0] - np.arange(90) / 30 * 1e9).max() < 20e6


@pytest.mark.parametrize("said_s", [0.0, 1e-6, 1e9])
def test_a_round_lasts_whatever_the_file_says(tmp_path: Path, said_s: float) -> None:
    write_video(tmp_path / "short.mkv", times_ms(9), Fraction(1, 1000))
    source = VideoFile(FileSpec(tmp_path / "short.mkv", loop=True, real_time=False))
    source.duration_s = said_s
    times = np.array([frame.time_ns for frame in play(source, most=90)])
    assert np.abs(times - times[0] - np.arange(90) / 30 * 1e9).max() < 20e6


@pytest.mark.parametrize(("sound_s", "shown"), [(1.5, 30), (0.6, 18), (1e-4, 1)])
def test_rounds_last_as_long_as_the_sound_that_is_heard(
    tmp_path: Path, sound_s: float, shown: int
) -> None:
    """A longer picture is cut, a shorter one held, round after round."""
    write_video(tmp_path / "second.mkv", times_ms(30), Fraction(1, 1000))
    source = VideoFile(FileSpec(tmp_path / "second.mkv", loop=True, real_time=False))
    source.round_s = sound_s
    times = np.array([frame.time_ns for frame in play(source, most=3 * shown)])
    begins = (times[::shown] - times[0]) / 1e9
    np.testing.assert_allclose(begins, np.arange(3) * max(sound_s, 1 / 30), atol=1e-6)


def test_silence_is_not_made_for_an_hour_that_is_only_said(clip: Path) -> None:
    with pytest.raises(MediaError, match="over 3,600 s of sound, which is not kept in memory"):
        read_file_audio(clip, 48_000, seconds=1e9)


def test_the_portrait_moves_and_shows_no_edge(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "face.png"
    still = np.random.default_rng(0).integers(60, 255, (300, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(path), still)
    source = Portrait(PortraitSpec(path, (160, 120)))
    pictures = [source.picture(n, n * 500_000_000) for n in range(0, 48)]
    assert all(p.shape == (120, 160, 3) for p in pictures)
    changes = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 1.0
    with pytest.raises(MediaError):
        Portrait(PortraitSpec(tmp_path / "none.png"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None: ...


def test_a_url_is_a_source(clip: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=clip.parent)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/{clip.name}"
        source = VideoFile(FileSpec(url, real_time=False))
        time.sleep(0.3)  # a stream opened so long ago is opened anew
        frames = play(source)
        server.shutdown()
        thread.join()
    assert source.error is None
    assert len(frames) == 60
