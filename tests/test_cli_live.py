"""`bunraku live` and `bunraku render`: what they print and leave behind, and how they end."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.cli import main
from bunraku.errors import UserInputError
from gain_models import gain_bytes, resampling_bytes

pytest.importorskip("typer")
soundfile = pytest.importorskip("soundfile")

RATE_HZ = 48_000
ENGINE = str(Path(__file__).parent.parent / "engine")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Half a second of noise and two models, in the current folder."""
    noise = 0.1 * np.random.default_rng(5).standard_normal(RATE_HZ // 2)
    soundfile.write(tmp_path / "voice.wav", noise.astype(np.float32), RATE_HZ, subtype="FLOAT")
    (tmp_path / "gain.bnk").write_bytes(gain_bytes(-6.0))
    (tmp_path / "other-rate.bnk").write_bytes(resampling_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


VIDEO_FILES = {"performance.mp4", "picture.jpg"}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main.run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


# ---- what they do -------------------------------------------------------------------------------


def test_the_demo_leaves_sound_picture_and_report(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("DEMO", "file")
    monkeypatch.setattr("bunraku.samples.SPEECH_PATH", folder / "voice.wav")
    for _ in range(2):  # a second demo writes over the first
        code, out, err = run(capsys, "live", "--demo", "-m", "gain.bnk")
        assert code == 0, err
    for words in ("misses", "underflows", "added latency", "p99.9", "max"):
        assert words in out
    left = {path.name: path.stat().st_size for path in (folder / "demo-output").iterdir()}
    assert set(left) - VIDEO_FILES == {"output.wav", "spectrogram.png", "report.json"}
    if importlib.util.find_spec("cv2") and importlib.util.find_spec("av"):
        assert "performance.mp4" in left
    for words in ("Ctrl-C ends", "opening devices and effects", "drawing the pictures"):
        assert words in err
    assert left["spectrogram.png"] > 10_000
    wet, rate = soundfile.read(folder / "demo-output" / "output.wav", dtype="float32")
    assert rate == RATE_HZ
    assert len(wet) >= RATE_HZ // 2
    assert json.loads((folder / "demo-output" / "report.json").read_text())["voice"]["blocks"] > 0


def test_the_demo_s_film_has_the_effects_from_its_first_frame(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is a picture in two colours, so that a frame without it would be seen; the first
    look wanted does not open here."""
    pytest.importorskip("matplotlib")
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("av")
    from bunraku.cli import demo
    from bunraku.effects.video.background_blur import BackgroundBlur
    from bunraku.effects.video.colour_look import ColourLook
    from bunraku.io.video_reader import VideoReader

    def refuse(effect: BackgroundBlur) -> None:
        raise UserInputError("no model for this here")

    def in_blue(effect: ColourLook, pixels: Any, scene: Any, tier: int) -> Any:
        return np.full_like(pixels, (200, 20, 20))

    monkeypatch.setattr(BackgroundBlur, "open", refuse)
    monkeypatch.setattr(ColourLook, "process", in_blue)
    monkeypatch.setattr(demo, "LOOKS", (("background_blur",), ("colour_look",), ()))
    monkeypatch.setenv("DEMO", "file")
    monkeypatch.setattr("bunraku.samples.SPEECH_PATH", folder / "voice.wav")
    code, _, err = run(capsys, "live", "--demo", "-m", "gain.bnk")
    assert code == 0, err
    assert "no model for this here" in err
    assert "effects: colour_look" in err
    reader = VideoReader(folder / "demo-output" / "performance.mp4")
    film = [reader.pixels_of(frame) for _, frame in reader.frames()]
    reader.close()
    assert len(film) >= 5
    assert all(picture[..., 0].mean() > 150 and picture[..., 2].mean() < 60 for picture in film)
    report = json.loads((folder / "demo-output" / "report.json").read_text())
    assert report["picture"]["shown"] >= len(film)
    (look,) = report["picture"]["effects"]
    assert report["picture"]["run_ms"]["p50"] >= look["run_ms"]["p50"] > 0
    pair = cv2.imread(str(folder / "demo-output" / "picture.jpg"))
    before, after = pair[:, :640], pair[:, 648:]
    assert before.shape == after.shape == (480, 640, 3)
    assert before.std() > 30 > after.std(axis=(0, 1)).max()


def test_a_preset_s_own_recordings_are_named_at_the_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("av")
    picture = '[picture]\nsource = { type = "test", width = 160, height = 120 }\n'
    sinks = "".join(f'[[sink]]\ntype = "file"\nfile = "{name}.mp4"\n' for name in ("one", "two"))
    (folder / "own.toml").write_text(picture + sinks)
    code, out, err = run(capsys, "live", "own.toml", "--seconds", "0.5", "--out", "more.mp4")
    assert code == 0, err
    assert "recording: more.mp4\nthe preset's recording: one.mp4\n" in out
    assert "the preset's recording 2: two.mp4" in out


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        ("live natural --out voice.wav", "choose another --out or use --force"),
        ("live -m gain.bnk --source voice.wav --out voice.wav", "another --out or use --force"),
        ("render voice.wav voice.wav -m gain.bnk", "choose another name or use --force"),
        ("measure glass --file voice.wav", "choose another --file or use --force"),
    ],
)
def test_force_is_named_where_it_works(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, remedy: str
) -> None:
    code, _, err = run(capsys, *command.split())
    assert code == 2
    assert "voice.wav exists and is not overwritten" in err
    assert remedy in err


def test_force_is_not_named_for_a_preset_s_own_recordings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("av")
    picture = '[picture]\nsource = { type = "test", width = 160, height = 120 }\n'
    (folder / "own.toml").write_text(f'{picture}[[sink]]\ntype = "file"\nfile = "take.mp4"\n')
    (folder / "take.mp4").write_bytes(b"precious")
    code, _, err = run(capsys, "live", "own.toml", "--force", "--seconds", "0.5")
    assert code == 2
    assert "take.mp4 exists and is not overwritten; choose another name or remove it" in err
    assert (folder / "take.mp4").read_bytes() == b"precious"


def test_help_says_what_goes_with_a_preset(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "live", "--help")
    assert code == 0
    assert "go with it" in " ".join(out.replace("│", " ").split())


def test_the_demo_takes_a_model_of_the_pack(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bunraku.effects.audio.native_model import pack_names

    pytest.importorskip("matplotlib")
    if not pack_names():
        pytest.skip("no default pack is installed here")
    monkeypatch.setenv("DEMO", "file")
    monkeypatch.setattr("bunraku.samples.SPEECH_PATH", folder / "voice.wav")
    code, out, err = run(capsys, "live", "--demo", "--json")
    assert code == 0, err
    report = json.loads(out)["voice"]
    assert report["blocks"] == -(-(RATE_HZ // 2 + report["declared"]["chain_frames"]) // 256)


def test_live_reports_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("-m", "gain.bnk", "--source", "voice.wav", "--loop", "--out", "out.wav")
    code, out, err = run(
        capsys, "live", *arguments, "--seconds", "1.5", "--block", "100", "--fast", "--json"
    )
    assert code == 0, err
    report = json.loads(out)
    assert report["block_frames"] == 100
    assert report["blocks"] == 720
    assert report["misses"] <= report["blocks"]
    assert report["compute_ms"]["p50"] <= report["compute_ms"]["max"]
    assert Path(report["files"]["recording"]).is_file()
    assert soundfile.info(folder / "out.wav").frames == 1.5 * RATE_HZ
    assert soundfile.info(folder / "out.wav").subtype == "FLOAT"


@pytest.mark.parametrize("model", ["gain.bnk", "other-rate.bnk"])
def test_render_keeps_the_length(
    folder: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    code, out, err = run(capsys, "render", "voice.wav", "out.wav", "-m", model, "--json")
    assert code == 0, err
    report = json.loads(out)
    wet, _ = soundfile.read(folder / "out.wav", dtype="float32")
    assert len(wet) == report["frames"] == RATE_HZ // 2
    assert (report["latency_frames"] > 0) == (model == "other-rate.bnk")
    code, out, _ = run(capsys, "render", "voice.wav", "two.wav", "-m", model, "--block", "33")
    assert code == 0
    assert "real time" in out
    again, _ = soundfile.read(folder / "two.wav", dtype="float32")
    np.testing.assert_allclose(again, wet, atol=1e-5)


# ---- what they refuse ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("live -m gain.bnk --source no.wav --out o.wav", "no.wav: does not exist"),
        ("live -m gain.bnk --source voice.wav --out voice.wav", "is not overwritten"),
        ("live -m gain.bnk --source gain.bnk --out o.wav", "not an audio file"),
        ("live -m gain.bnk --source voice.wav --out o.wav --block 0", "block_frames is 0: use 1"),
        ("live -m gain.bnk --source voice.wav --out o.wav --block many", "--block"),
        ("live -m gain.bnk --source voice.wav --out o.wav --rate 7", "sample_rate_hz is 7"),
        ("live -m gain.bnk --source voice.wav --out no/o.wav", "does not exist; make it first"),
        ("live -m gain.bnk --source voice.wav --out o.banjo", "names no audio format"),
        ("live -m gain.bnk --source voice.wav --out o.wav --buffer much", "--buffer is 'much'"),
        ("live -m gain.bnk --source voice.wav --out o.wav --buffer -5", "device_buffer is -0.005"),
        ("live -m gain.bnk --source voice.wav --input mic --out o.wav", "exclude each other"),
        ("live -m banjo --source voice.wav --out o.wav", "neither a file nor a model"),
        ("live -m voice.wav --source voice.wav --out o.wav", "voice.wav"),
        ("render no.wav o.wav -m gain.bnk", "no.wav: does not exist"),
        ("render voice.wav voice.wav -m gain.bnk", "is not overwritten"),
        ("render voice.wav voice.wav -m gain.bnk --force", "is the file to read"),
        ("render voice.wav o.wav -m gain.bnk --block 9000", "block_frames is 9000: use 1 to 8192"),
        ("render voice.wav o.wav -m banjo", "neither a file nor a model"),
        ("render voice.wav o.wav -m gain.bnk --effect banjo", "banjo"),
        ("render voice.wav o.wav", "--model"),
    ],
)
def test_errors_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, says: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, out, err = run(capsys, *arguments.split())
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert says in err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--model radio", "--model"),
        ("--input usb --output none", "--input, --output"),
        ("--source voice.wav --loop --fast", "--source, --loop, --fast"),
        ("--block 256", "--block"),  # what it would be anyhow
        ("--rate 48000 --channels 2 --size 0.5", "--rate, --channels, --size"),
        ("--effect noise_gate", "--effect"),
        ("--no-reconnect", "--no-reconnect"),
        ("--demo", "--demo"),
    ],
)
def test_what_a_preset_says_is_not_said_again(
    folder: Path, capsys: pytest.CaptureFixture[str], options: str, named: str
) -> None:
    code, _, err = run(capsys, "live", "natural", *options.split())
    assert code == 2
    assert f"a preset says this itself: leave out {named}, or change the preset" in err


def test_what_goes_with_a_preset_reaches_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def opening(preset: Any, path: Any, wanted: Any, **others: Any) -> None:
        seen.append(wanted)
        raise UserInputError("far enough")

    monkeypatch.setattr("bunraku.session.open_performance.open_performance", opening)
    options = ("--buffer", "15", "--seconds", "2", "--out", "take.mp4", "--force", "--json")
    _, _, err = run(capsys, "live", "natural", *options)
    assert "far enough" in err
    (wanted,) = seen
    assert wanted.device_buffer == pytest.approx(0.015)
    assert (wanted.seconds, wanted.record_to, wanted.overwrite) == (2.0, Path("take.mp4"), True)


def test_a_wrong_demo_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO", "banjo")
    code, _, err = run(capsys, "live", "--demo", "-m", "gain.bnk")
    assert code == 2
    assert "DEMO is 'banjo'" in err


def test_a_failed_render_leaves_what_was_there(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bunraku.errors import MediaError
    from bunraku.session import render as offline

    def damaged(file: Any, path: Path, block_frames: int) -> Iterator[np.ndarray]:
        yield np.zeros((block_frames, 1), np.float32)
        raise MediaError(f"{path}: damaged after {block_frames} frames; copy it again")

    monkeypatch.setattr(offline, "read_blocks", damaged)
    (folder / "kept.wav").write_bytes(b"precious")
    names = sorted(path.name for path in folder.iterdir())
    for arguments in (("new.wav",), ("kept.wav", "--force")):
        code, _, err = run(capsys, "render", "voice.wav", *arguments, "-m", "gain.bnk")
        assert code == 2
        assert "damaged after" in err
        assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "kept.wav").read_bytes() == b"precious"


# ---- how they end -------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    """A command in a process of its own, which takes signals as from a terminal."""
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.path.insert(0, {ENGINE!r}); from bunraku.cli.main import run; run(sys.argv[1:])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], pattern: str, least_bytes: int) -> None:
    """Until a file of that name has grown so far; at most half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        if any(path.stat().st_size >= least_bytes for path in Path().glob(pattern)):
            return
        time.sleep(0.02)
    process.kill()
    pytest.fail(f"{pattern} did not grow: {process.communicate()}")


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_session_well(folder: Path, number: signal.Signals) -> None:
    pytest.importorskip("matplotlib")
    player = start("live", "-m", "gain.bnk", "--source", "voice.wav", "--loop", "--out", "o.wav")
    wait_for(player, "o.wav", 100_000)
    player.send_signal(number)
    try:
        out, err = player.communicate(timeout=60)
    finally:
        player.kill()
    assert player.returncode == 0, err
    assert "Traceback" not in err
    assert "added latency" in out
    played, rate = soundfile.read(folder / "o.wav", dtype="float32")
    assert rate == RATE_HZ
    assert len(played) > 20_000
    assert abs(played[-1]) < 1e-3, "faded out"
    assert (folder / "o.png").stat().st_size > 10_000


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_render_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    seconds = 600
    soundfile.write("long.wav", np.zeros(seconds * RATE_HZ, np.int16), RATE_HZ, subtype="PCM_U8")
    names = sorted(path.name for path in folder.iterdir())
    renderer = start("render", "long.wav", "o.wav", "-m", "gain.bnk", "--block", "1")
    wait_for(renderer, ".o-*.wav", 1)
    renderer.send_signal(number)
    try:
        _, err = renderer.communicate(timeout=60)
    finally:
        renderer.kill()
    assert renderer.returncode == 130, err
    assert "Traceback" not in err
    assert sorted(path.name for path in folder.iterdir()) == names


def test_a_recording_that_fails_at_its_very_end_fails_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bunraku.errors import MediaError
    from bunraku.session.recorder import Recorder

    stop = Recorder.stop

    def stop_on_a_full_disk(recorder: Recorder) -> None:
        stop(recorder)
        recorder.error = MediaError("out.wav: writing failed; is the disk full?")

    monkeypatch.setattr(Recorder, "stop", stop_on_a_full_disk)
    source = ("--source", "voice.wav", "--fast")
    code, _, err = run(capsys, "live", "-m", "gain.bnk", *source, "--out", "out.wav")
    assert code == 2
    assert "is the disk full?" in err
