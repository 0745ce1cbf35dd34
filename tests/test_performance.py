"""Voice and picture together: one clock, one recording in step, and what a preset may say."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from bunraku.errors import BunrakuError, MediaError, ModelFormatError, UserInputError
from bunraku.formats.performance import is_performance, parse_performance, read_performance
from bunraku.io.video_file import VideoFile
from bunraku.session.endpoints import ClipEndpoint
from bunraku.session.open_performance import OpenedPerformance, Wanted, open_performance

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'bunraku[video]'")
pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'bunraku[video]'")

RATE = 48_000
PERIOD_S = 0.5
CLICK_FRAMES = 480
SIZE = (320, 240)
FRAME_RATE = 30


def flash_and_click(path: Path, seconds: float) -> Path:
    """A video whose picture turns white for 100 ms and whose sound bursts at the same moments."""
    from bunraku.io.video_specs import RecordingSpec
    from bunraku.io.video_writer import VideoWriter
    from bunraku.streaming.video_frame import VideoFrame

    writer = VideoWriter(RecordingSpec(path, rate_hz=FRAME_RATE, sample_rate_hz=RATE, crf=18))
    writer.start()
    for number in range(int(seconds * FRAME_RATE)):
        phase = (number / FRAME_RATE) % PERIOD_S
        value = 235 if phase < 0.1 else 40
        pixels = np.full((SIZE[1], SIZE[0], 3), value, np.uint8)
        writer.show(VideoFrame(pixels, round(number * 1e9 / FRAME_RATE), number))
    times = np.arange(int(seconds * RATE)) / RATE
    burst = np.sin(2 * np.pi * 1000 * times) * ((times % PERIOD_S) < CLICK_FRAMES / RATE) * 0.6
    writer.write_audio(burst.astype(np.float32)[:, None], 0)
    writer.stop()
    assert writer.error is None
    return path


def flashes_and_clicks(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """When, in seconds, the picture turns white and the sound begins."""
    with av.open(str(path)) as file:
        light = [
            (float(f.pts * f.time_base), float(f.to_ndarray(format="gray").mean()))
            for f in file.decode(video=0)
        ]
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        rate = stream.rate
        blocks = [(float(f.pts * f.time_base), f.to_ndarray()[0]) for f in file.decode(stream)]
    sound = np.zeros(int((blocks[-1][0] + 0.2) * rate), np.float32)
    for begin_s, block in blocks:
        at = max(0, round(begin_s * rate))
        sound[at : at + len(block)] = block[: len(sound) - at]
    loud = np.abs(sound) > 0.5 * np.abs(sound).max()
    return rises(
        np.array([v > 130 for _, v in light]), np.array([t for t, _ in light]), 0.2
    ), rises(loud, np.arange(len(loud)) / rate, 0.2)


def rises(on: np.ndarray, times: np.ndarray, apart_s: float) -> np.ndarray:
    found: list[float] = []
    for time_s in times[1:][on[1:] & ~on[:-1]]:
        if not found or time_s - found[-1] > apart_s:
            found.append(float(time_s))
    return np.array(found)


def preset_of(text: str) -> OpenedPerformance:
    return open_performance(parse_performance(text.encode()))


def test_a_recording_is_in_step(tmp_path: Path) -> None:
    """Flash and click of a file, played through the session and recorded anew."""
    source = flash_and_click(tmp_path / "source.mp4", 4.0)
    preset = tmp_path / "preset.toml"
    preset.write_text(
        'name = "step"\n[voice]\nmodel = "tape"\nsource = { type = "picture" }\n'
        'sink = { type = "none" }\n[picture]\nlatency_ms = 500.0\n'
        f'source = {{ type = "file", file = "{source.name}" }}\n'
    )
    out = tmp_path / "out.mp4"
    opened = open_performance(read_performance(preset), preset, Wanted(record_to=out))
    with opened as performance:
        performance.wait(seconds=10)
        assert not performance.running, "it ends with the file"
    report = performance.report()
    assert report.voice is not None
    assert report.picture is not None
    assert report.picture.shown > 0.5 * report.picture.captured
    light, sound = flashes_and_clicks(out)
    pairs = [(t, sound[np.abs(sound - t).argmin()]) for t in light[1:-1]]
    assert len(pairs) >= 4
    skews = np.array([heard - seen for seen, heard in pairs])
    assert np.abs(np.median(skews)) <= 0.010, skews


def test_a_picture_alone_and_its_recording(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with preset_of(
        '[picture]\nsource = { type = "test", width = 160, height = 128 }'
    ) as performance:
        from bunraku.session.open_performance import recording_of

        performance.wait(seconds=0.3)
        writer = recording_of(performance, out)
        performance.record(writer)
        performance.wait(seconds=0.5)
        performance.stop_recording(writer)
        performance.wait(seconds=0.2)
    assert writer.error is None
    with av.open(str(out)) as file:
        assert len(list(file.decode(video=0))) >= 5
    report = performance.report()
    assert report.voice is None
    assert report.sync is None


def test_a_voice_is_delayed_for_its_picture(tmp_path: Path) -> None:
    """What the lip sync decides reaches the engine."""
    from bunraku.samples import SPEECH_PATH

    path = tmp_path / "p.toml"
    (tmp_path / "speech.flac").write_bytes(SPEECH_PATH.read_bytes())
    path.write_text(
        '[voice]\nsource = { type = "file", file = "speech.flac" }\nsink = { type = "none" }\n'
        '[picture]\nsource = { type = "test", width = 64, height = 64, rate_hz = 60.0 }\n'
    )
    opened = open_performance(read_performance(path), path)
    performance = opened.performance
    performance._keeps_step = True  # nothing here is watched live, as with a window it would be
    with opened:
        lips, picture = performance._lips, performance.picture
        assert lips is not None
        assert picture is not None
        lips.audio_latency_ns = 10_000_000
        picture.on_shown = lambda latency_ns: lips.observe_video(50_000_000)
        performance.wait(seconds=1.2)
        report = performance.report()
        assert report.sync is not None
        assert report.voice is not None
        assert performance.voice is not None
        assert report.sync.audio_delay_ms == pytest.approx(40.0)
        assert report.sync.video_delay_ms == 0.0
        delay_frames = performance.voice._engine.output_delay_frames
        assert abs(delay_frames - 0.040 * report.voice.sample_rate_hz) <= 1


def test_opened_and_closed_leaves_nothing() -> None:
    before = threading.active_count()
    for _ in range(3):
        with preset_of('[picture]\nsource = { type = "test", width = 64, height = 64 }') as opened:
            opened.wait(seconds=0.1)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("name = 'empty'", ModelFormatError, r"\[voice\], \[picture\], or both"),
        ("[picture]\nblur = 1", ModelFormatError, 'picture has no key "blur"'),
        ('[voice]\nsource = { type = "picture" }', ModelFormatError, "comes from no file"),
        ('[picture]\nsource = { type = "camera", width = 5 }', ModelFormatError, "width"),
        ('[[picture.effect]]\ntype = "a"\nx = [1]', ModelFormatError, "neither text, a number"),
        ('[[picture.effect]]\ntype = "no_such"', UserInputError, "no effect is named 'no_such'"),
        ('[[picture.effect]]\ntype = "background_blur"\nstrenth = 1.0', UserInputError, "strenth"),
        ('[picture]\nsource = { type = "file", file = "none.mp4" }', UserInputError, "none.mp4"),
        ('[voice]\nmodel = "no_model.nam"\n', UserInputError, "no_model.nam"),
        ("[picture\n", ModelFormatError, "not valid TOML"),
    ],
)
def test_a_wrong_preset_is_refused(text: str, error: type[BunrakuError], message: str) -> None:
    if "effect" in text and "source" not in text:
        text = '[picture]\nsource = { type = "test" }\n' + text
    with pytest.raises(error, match=message):
        preset_of(text)


def test_files_stay_in_the_presets_folder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "preset.toml"
    path.parent.mkdir()
    (tmp_path / "film.mp4").write_bytes(b"x")
    path.write_text('[picture]\nsource = { type = "file", file = "../film.mp4" }')
    with pytest.raises(ModelFormatError, match="within the preset's folder"):
        open_performance(read_performance(path), path)


@pytest.mark.parametrize(
    "file", ["/tmp/take.mp4", "../take.mp4", "a/../../take.mp4", "..\\\\take.mp4", "C:take.mp4"]
)
def test_a_preset_records_nowhere_else(file: str) -> None:
    with pytest.raises(ModelFormatError, match=r"sink.*within the folder you start from"):
        parse_performance(
            f'[picture]\nsource = {{ type = "test" }}\n[[sink]]\ntype = "file"\n'
            f'file = "{file}"\n'.encode()
        )


RECORDS = (
    '[picture]\nsource = { type = "test", width = 64, height = 64 }\n'
    '[[sink]]\ntype = "file"\nfile = "%s"\n'
)


def test_a_presets_recording_does_not_follow_links_out_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "out").symlink_to(tmp_path)
    (here / "take.mp4").symlink_to(tmp_path / "take.mp4")
    (here / "round.mp4").symlink_to(here / "round.mp4")
    for file in ("out/take.mp4", "take.mp4"):
        with pytest.raises(UserInputError, match="is not within"):
            preset_of(RECORDS % file)
    with pytest.raises(BunrakuError, match=r"round\.mp4"):
        preset_of(RECORDS % "round.mp4")
    assert not (tmp_path / "take.mp4").exists()
    (here / "within").mkdir()
    with preset_of(RECORDS % "within/take.mp4") as performance:
        performance.wait(seconds=0.3)
    assert (here / "within" / "take.mp4").stat().st_size > 1000


def test_overwriting_is_for_the_callers_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("precious.mp4", "mine.mp4"):
        (tmp_path / name).write_bytes(b"kept")
    wanted = Wanted(record_to=tmp_path / "mine.mp4", overwrite=True)
    with pytest.raises(BunrakuError, match=r"precious\.mp4 exists and is not overwritten"):
        open_performance(parse_performance((RECORDS % "precious.mp4").encode()), None, wanted)
    assert (tmp_path / "precious.mp4").read_bytes() == b"kept"
    with open_performance(parse_performance((RECORDS % "new.mp4").encode()), None, wanted) as both:
        both.wait(seconds=0.3)
    assert min((tmp_path / name).stat().st_size for name in ("new.mp4", "mine.mp4")) > 1000


def test_the_sound_of_a_looping_file_sets_the_length_of_its_rounds(tmp_path: Path) -> None:
    """Or voice and picture would drift apart by the difference, each round."""
    flash_and_click(tmp_path / "film.mkv", 1.0)
    path = tmp_path / "p.toml"
    path.write_text(
        '[voice]\nmodel = "tape"\nsource = { type = "picture" }\nsink = { type = "none" }\n'
        '[picture]\nsource = { type = "file", file = "film.mkv", loop = true }\n'
    )
    opened = open_performance(read_performance(path), path)
    assert opened.performance.voice is not None
    assert opened.performance.picture is not None
    source, clip = opened.performance.picture.source, opened.performance.voice._source
    assert isinstance(source, VideoFile)
    assert isinstance(clip, ClipEndpoint)
    assert source.round_s == len(clip.clip.samples) / clip.clip.sample_rate_hz
    assert source.round_s == pytest.approx(source.duration_s, abs=1e-4)
    assert source.round_s == pytest.approx(1.0, abs=0.05)
    opened.close()


def test_a_file_without_sound_is_said(tmp_path: Path) -> None:
    from bunraku.io.video_specs import RecordingSpec
    from bunraku.io.video_writer import VideoWriter
    from bunraku.streaming.video_frame import VideoFrame

    writer = VideoWriter(RecordingSpec(tmp_path / "mute.mp4"))
    writer.start()
    for k in range(5):
        writer.show(VideoFrame(np.zeros((64, 64, 3), np.uint8), k * 33_000_000, k))
    writer.stop()
    path = tmp_path / "p.toml"
    path.write_text(
        '[voice]\nsource = { type = "picture" }\n[picture]\n'
        'source = { type = "file", file = "mute.mp4" }'
    )
    with pytest.raises(MediaError, match="has no sound"):
        open_performance(read_performance(path), path)


def test_which_toml_is_a_performance(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[picture]\n")
    assert is_performance(path)
    path.write_text('[[effect]]\ntype = "gain"\ngain_db = 1.0\n')
    assert not is_performance(path)
