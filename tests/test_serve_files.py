"""What a visitor may name, read and lose: files that come along, texts without folders, recordings
and presets that are told of."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import BunrakuError, MediaError, UserInputError

pytest.importorskip("aiortc", reason="aiortc is missing: pip install 'bunraku[web]'")
pytest.importorskip("starlette", reason="starlette is missing: pip install 'bunraku[web]'")
pytest.importorskip("websockets", reason="websockets is missing: pip install 'bunraku[web]'")
pytest.importorskip("prometheus_client", reason="prometheus-client is missing")
pytest.importorskip("cv2", reason="OpenCV is missing: pip install 'bunraku[video]'")

from bunraku.effects.video.video_effect import catalogue, path_settings
from bunraku.formats.control_action import PlacedEffect
from bunraku.formats.performance_shape import Effect, Picture
from bunraku.io.video_specs import RecordingSpec
from bunraku.io.video_writer import VideoWriter
from bunraku.serving.effect_schema import check_visitor_settings
from bunraku.serving.preset_shelf import PresetShelf
from bunraku.serving.visitor_text import for_visitor
from bunraku.session.control.effect_rack import EffectRack
from bunraku.session.control.message_limit import BURST, MessageLimit
from bunraku.session.control.recording import DeskRecording
from bunraku.session.open_performance import video_effects
from bunraku.session.video_counters import named_error
from bunraku.streaming.video_frame import VideoFrame
from test_serve import calling, colour, connect, in_loop, serving, until, watching

CUBE = "LUT_3D_SIZE 2\n" + "1 0 0\n" * 8


# ---- files that come along -----------------------------------------------------------------------


@pytest.fixture
def in_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's current folder has files with bare names."""
    folder = tmp_path / "current"
    folder.mkdir()
    (folder / "look").write_text(CUBE)
    (folder / "secret").write_text("password = hunter2\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_visitors_name_only_what_comes_along(name: str) -> None:
    for setting in path_settings(name):
        for file in ("holiday", "secret", "look", "a.cube", "/etc/passwd", "../x", "", 1):
            with pytest.raises(UserInputError, match="come with presets"):
                check_visitor_settings(name, {setting: file})
        for along in catalogue()[name].bundled(setting):
            check_visitor_settings(name, {setting: along})


def test_the_looks_of_the_pack_come_along() -> None:
    assert "watercolour" in catalogue()["neural"].bundled("file")
    assert catalogue()["neural"].bundled("backend") == ()


@pytest.mark.parametrize("file", ["look", "secret", "nothere"])
def test_a_chain_by_hand_opens_no_file_of_the_current_folder(
    in_folder_with_files: Path, file: str
) -> None:
    """Also where the page's own check would have let it through."""
    rack = EffectRack(lambda: None, Picture(), None)
    look = PlacedEffect("colour_look", {"look": "file", "file": file}, None, True)
    with pytest.raises(UserInputError, match="come with presets"):
        rack.arrange((look,))
    rack.arrange((PlacedEffect("colour_look", {}, None, True),))
    with pytest.raises(UserInputError, match="come with presets"):
        rack.set("colour_look", "file", file)


def test_a_bare_name_in_a_preset_is_a_file_beside_it(
    in_folder_with_files: Path, tmp_path: Path
) -> None:
    preset = tmp_path / "presets" / "a.toml"
    preset.parent.mkdir()
    preset.write_text("")
    effect = Effect(type="colour_look", look="file", file="look")  # type: ignore[call-arg]
    with pytest.raises(BunrakuError, match=r"not beside a\.toml"):
        video_effects([effect], preset)
    (preset.parent / "look").write_text(CUBE)
    (made,) = video_effects([effect], preset)
    assert made.settings.file == str(preset.parent / "look")


def test_what_comes_along_is_itself_and_is_listed(tmp_path: Path) -> None:
    preset = tmp_path / "a.toml"
    (tmp_path / "watercolour").write_text("a file of that name")
    known, unknown = (
        Effect(type="neural", file=file)  # type: ignore[call-arg]
        for file in ("watercolour", "watercolor")
    )
    assert video_effects([known], preset)[0].settings.file == "watercolour"
    with pytest.raises(BunrakuError, match="neural brings watercolour along"):
        video_effects([unknown], preset)


# ---- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/my shows/Beta.toml: name is 3: use text", "Beta.toml: name is 3: use text"),
        ("no file /srv/shows/gone.cube", "no file gone.cube"),
        ("/srv/a/b.toml and /srv/c/d.toml", "b.toml and d.toml"),
        ("file is '/srv/a', not '/srv/c/d'", "file is 'a', not 'd'"),
        ("no file /srv/bob's/gone.cube; put it there", "no file gone.cube; put it there"),
        ("OSError(2, 'No such file', '/srv/a/b.png')", "OSError(2, 'No such file', 'b.png')"),
        (r"C:\Users\me\my shows\a.cube is damaged", "a.cube is damaged"),
        ("file:///srv/a.mp4 path:/srv/a.mp4 ~/a.mp4 ../b/a.mp4", "a.mp4 path:a.mp4 a.mp4 a.mp4"),
        ("voice / picture and/or 16/9, see https://a.example/b/c", None),
        ("two\nlines\x1b[2J", "two lines [2J"),
    ],
)  # fmt: skip
def test_a_visitor_reads_no_folders(text: str, shown: str | None) -> None:
    assert for_visitor(text) == (text if shown is None else shown)
    assert for_visitor(for_visitor(text)) == for_visitor(text)


def test_what_a_visitor_reads_is_bounded() -> None:
    for text in ("a" * 100_000, "/a b" * 50_000, "/" * 100_000, "/a, " * 50_000):
        began = time.monotonic()
        assert len(for_visitor(text)) <= 600
        assert time.monotonic() - began < 0.5
    assert for_visitor("/srv/" + "a" * 700, most=100) == "a" * 99 + "…"


def test_an_effect_s_error_is_told_by_its_kind_and_text() -> None:
    error = MediaError("/srv/shows/back.png is damaged: save it again")
    assert for_visitor(named_error(error)) == "MediaError: back.png is damaged: save it again"


# ---- presets -------------------------------------------------------------------------------------


def test_two_presets_of_one_name_are_both_there(tmp_path: Path) -> None:
    for file in ("b", "c", "d"):
        (tmp_path / f"{file}.toml").write_text('name = "Same"\n[picture]\n')
    (tmp_path / "a.toml").write_text('name = "Same (c)"\n[picture]\n')
    shelf = PresetShelf(tmp_path / "b.toml", tmp_path)
    assert {name: path.name for name, path in shelf.paths.items() if "Same" in name} == {
        "Same": "b.toml", "Same (c)": "a.toml", "Same (c 2)": "c.toml", "Same (d)": "d.toml"
    }  # fmt: skip
    assert len(shelf.faults) == 2
    assert "c.toml: its name 'Same' is that of" in shelf.faults[0]
    assert "called 'Same (c 2)'" in shelf.faults[0]
    assert "called 'Same (d)'" in shelf.faults[1]


# ---- recordings ----------------------------------------------------------------------------------


class Recorded:
    """A `Performed` whose pictures come from the test."""

    def __init__(self, sample_rate_hz: int | None = None) -> None:
        self.voice = Heard(sample_rate_hz)
        self.picture: Any = Seen()
        self.writer: VideoWriter | None = None

    def record(self, writer: VideoWriter) -> None:
        self.writer = writer
        writer.start()

    def stop_recording(self, writer: VideoWriter) -> None:
        writer.stop()


class Heard:
    channels = 1

    def __init__(self, sample_rate_hz: int | None) -> None:
        self.sample_rate_hz = sample_rate_hz


class Seen:
    class source:
        rate_hz = 30.0


def recorded(
    folder: Path, meanwhile: Callable[[Path, VideoWriter], object], rate_hz: int | None = 48_000
) -> tuple[DeskRecording, list[str]]:
    said: list[str] = []
    performance = Recorded(rate_hz)
    desk = DeskRecording(performance, folder, 60.0, said.append)  # type: ignore[arg-type]
    desk.switch("on")
    assert performance.writer is not None
    for k in range(40):
        pixels = np.full((96, 96, 3), 5 * k, np.uint8)
        performance.writer.show(VideoFrame(pixels, 10**12 + k * 33_000_000, k))
    end = time.monotonic() + 10
    while performance.writer.shown < 40 and time.monotonic() < end:
        time.sleep(0.01)
    meanwhile(performance.writer.path, performance.writer)
    desk.switch("off")
    return desk, said


def test_a_recording_that_vanished_is_said_to_be_gone(tmp_path: Path) -> None:
    desk, said = recorded(tmp_path, lambda path, writer: path.unlink())
    assert desk.finished == ()
    assert said[-1].endswith("is gone: the file or its folder was removed while it was recorded")


def test_what_a_full_disk_left_is_offered_and_the_error_said(tmp_path: Path) -> None:
    def fill(path: Path, writer: VideoWriter) -> None:
        writer.error = MediaError(f"{path}: writing failed (No space left on device)")

    desk, said = recorded(tmp_path, fill)
    (path,) = desk.finished
    assert said[-1] == (
        f"{path.name}: writing failed (No space left on device); what was written plays"
    )
    (tmp_path / "other").mkdir()

    def spoil(path: Path, writer: VideoWriter) -> None:
        fill(path, writer)
        path.write_bytes(b"")

    desk, said = recorded(tmp_path / "other", spoil)
    assert desk.finished == ()
    assert said[-1].endswith("(No space left on device)")


def test_a_recording_before_the_first_sound_says_that_it_has_none(tmp_path: Path) -> None:
    _, said = recorded(tmp_path, lambda path, writer: None, rate_hz=None)
    assert said[0].endswith(".mp4, without sound: no voice was heard yet")
    _, said = recorded(tmp_path, lambda path, writer: None)
    assert said[0].endswith(".mp4")


def test_what_must_arrive_arrives_after_any_flood() -> None:
    said: list[str] = []
    limit = MessageLimit(said.append, lambda: 0)
    for k in range(3 * BURST):
        limit.say(f"flood {k}")
    assert len(said) == BURST
    for _ in range(2):
        limit.say("recorded a.mp4\x1b", must_arrive=True)
    assert said[BURST:] == ["recorded a.mp4 "] * 2


# ---- the whole server ----------------------------------------------------------------------------


async def texts(line: Any, seconds: float) -> list[str]:
    """Whatever the page is told in words."""
    said: list[str] = []

    async def wait() -> None:
        while True:
            message = json.loads(await line.recv())
            if message["type"] in ("said", "error"):
                said.append(message["text"])

    try:
        await asyncio.wait_for(wait(), seconds)
    except TimeoutError:
        return said


def test_a_visitor_opens_no_file_of_the_server(in_folder_with_files: Path) -> None:
    async def work() -> None:
        async with serving() as settings, connect(settings) as line:
            await until(line, "welcome")
            async with calling(line) as track:
                before = await colour(track, 5)
                for effect, setting, file in (
                    ("colour_look", "file", "look"), ("colour_look", "file", "secret"),
                    ("background_replace", "picture", "secret"), ("neural", "file", "secret"),
                ):  # fmt: skip
                    chosen = {"look": "file"} if effect == "colour_look" else {}
                    one = {"effect": effect, "settings": {**chosen, setting: file}}
                    await line.send(json.dumps({"type": "set_effects", "effects": [one]}))
                    text = (await until(line, "error"))["text"]
                    assert "come with presets" in text
                    assert "password" not in text
                assert np.abs(await colour(track, 5) - before).max() < 5

    in_loop(work)


STAGE_OF_A_FILE = """
name = "Stage"
[picture]
source = { type = "file", file = "clip.mp4" }
"""


def write_clip(path: Path, frames: int) -> None:
    writer = VideoWriter(RecordingSpec(path, rate_hz=30.0))
    writer.start()
    for k in range(frames):
        pixels = np.full((128, 160, 3), k, np.uint8)
        writer.show(VideoFrame(pixels, 10**12 + k * 33_333_333, k))
    writer.stop()
    assert writer.error is None


def test_the_end_of_a_stage_s_picture_is_told_and_ends_a_recording(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 150)
    (tmp_path / "stage.toml").write_text(STAGE_OF_A_FILE)
    takes = tmp_path / "takes"

    async def work() -> None:
        stage = serving(preset=tmp_path / "stage.toml", recordings=takes, server_devices=True)
        async with stage as settings, connect(settings) as line:
            await until(line, "welcome")
            async with watching(line) as (before, _):
                await colour(before, 2)
                await line.send('{"type": "record", "on": true}')
                said = await texts(line, 9.0)
            assert sum(text.startswith("recorded bunraku-") for text in said) == 1, said
            assert sum("picture has ended" in text for text in said) == 1, said
            async with connect(settings) as late:
                assert any("picture has ended" in text for text in await texts(late, 1.0))

    in_loop(work)
    assert len(list(takes.glob("*.mp4"))) == 1


def test_a_stage_s_errors_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bunraku.serving import stage_watch
    from bunraku.session.performance import Performance

    def lost(self: Performance) -> None:
        raise BunrakuError("the camera is lost")

    monkeypatch.setattr(stage_watch, "LOOK_S", 0.1)
    monkeypatch.setattr(Performance, "check", lost)
    source = '{ type = "test", width = 160, height = 128 }'
    (tmp_path / "stage.toml").write_text(f'name = "Stage"\n[picture]\nsource = {source}\n')

    async def work() -> None:
        stage = serving(preset=tmp_path / "stage.toml", server_devices=True, max_sessions=3)
        async with stage as settings, connect(settings) as line, connect(settings) as other:
            for said in await asyncio.gather(texts(line, 2.0), texts(other, 2.0)):
                assert said.count("the camera is lost") == 1, said

    in_loop(work)
