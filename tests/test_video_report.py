"""What becomes of each frame, in figures that add up; how a performance and its recording end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.cli.performance_view import picture_rows
from bunraku.errors import MediaError
from bunraku.io.video_specs import RecordingSpec
from bunraku.io.video_writer import VideoWriter
from bunraku.session.video_report import VideoReport
from bunraku.session.video_session import VideoSession
from bunraku.streaming.video_frame import VideoFrame
from simulated_stage import BEGIN_NS, NS_PER_S, RATE_HZ, SIZE, Screen, Stage, SteppedPresenter

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'bunraku[video]'")
pytest.importorskip("av", reason="PyAV is not installed: pip install 'bunraku[video]'")


def adds_up(report: VideoReport) -> bool:
    fates = report.shown, report.replaced, report.skipped, report.failed, report.delay_dropped
    return sum(fates) == report.captured


def report_of(stage: Stage) -> VideoReport:
    picture = stage.performance.report().picture
    assert picture is not None
    return picture


def give(stage: Stage, frames: int) -> None:
    """So many frames, each captured, changed and handed on at once."""
    for _ in range(frames):
        number = stage.camera.number
        now_ns = BEGIN_NS + number * NS_PER_S // 30
        stage.clock.advance_to(now_ns)
        pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        stage.camera.put(VideoFrame(pixels, now_ns, number))
        stage.camera.number += 1
        stage.scheduler.step(now_ns)


def test_frames_that_a_full_presenter_leaves_out_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch, picture_takes_ms=0.0)
    frame_bytes = SIZE[0] * SIZE[1] * 3
    stage.picture._presenter = SteppedPresenter(
        stage.screen.show, pytest.fail, most_bytes=10 * frame_bytes, now_ns=stage.clock.now_ns
    )
    stage.picture.start()
    stage.picture.set_delay(NS_PER_S)
    give(stage, 30)
    report = stage.picture.report()
    assert (report.captured, report.shown, report.delay_dropped) == (30, 10, 20)
    assert adds_up(report)
    assert report.on_time_share == pytest.approx(1 / 3)
    assert ("left out while held for the voice", "20") in picture_rows(report)
    stage.picture.stop()


def test_a_frame_at_which_a_delayed_screen_breaks_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    stage = Stage(monkeypatch, picture_takes_ms=0.0)
    picture = stage.picture
    picture._on_message = said.append

    def broken(frame: VideoFrame) -> None:
        raise ValueError("the screen broke")

    picture._presenter = presenter = SteppedPresenter(
        broken, picture._say_not_shown, now_ns=stage.clock.now_ns
    )
    picture.start()
    picture.set_delay(1)
    give(stage, 3)
    stage.clock.advance(NS_PER_S)
    presenter.hand_on_due()
    report = picture.report()
    assert (report.captured, report.shown, report.failed) == (3, 0, 3)
    assert adds_up(report)
    assert said == ["a frame could not be shown: ValueError('the screen broke')"]
    picture.stop()


def test_a_frame_whose_handler_raises_has_failed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch, picture_takes_ms=0.0)

    def broken(latency_ns: int) -> None:
        raise ValueError("whoever listens broke")

    stage.picture.on_shown = broken
    stage.picture.start()
    for _ in range(3):
        with pytest.raises(ValueError, match="whoever listens"):
            give(stage, 1)
        stage.picture._failed(ValueError())  # as the scheduler does
        stage.camera.number += 1
    report = stage.picture.report()
    assert (report.captured, report.shown, report.failed) == (3, 0, 3)
    assert adds_up(report)
    stage.picture.stop()


def test_a_frame_after_the_end_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a camera that hung in its driver: it would open the closed effects again."""
    stage = Stage(monkeypatch, picture_takes_ms=0.0)
    stage.picture.start()
    give(stage, 1)
    stage.picture.stop()
    give(stage, 1)
    assert stage.scheduler.waiting == []
    assert stage.picture.report().captured == 1


# ---- sinks --------------------------------------------------------------------------------------


def recording(path: Path) -> VideoWriter:
    return VideoWriter(RecordingSpec(path, rate_hz=30.0, sample_rate_hz=RATE_HZ))


def test_each_sink_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of a kind too, one that was taken away, and what became of a recording's sound."""
    stage = Stage(monkeypatch, picture_takes_ms=0.0)
    picture, taken_away = stage.picture, recording(tmp_path / "first.mp4")
    writers = [recording(tmp_path / name) for name in ("second.mp4", "third.mp4")]
    picture.add_sink(taken_away)
    picture.start()
    give(stage, 5)
    picture.remove_sink(taken_away)
    for writer in writers:
        picture.add_sink(writer)
    writers[0].write_audio(np.zeros((11 * RATE_HZ, 1), np.float32), 0)
    give(stage, 3)
    picture.stop()
    report = picture.report()
    assert [(sink.name, sink.shown) for sink in report.sinks] == [
        ("first.mp4", 5),
        ("Screen", 0),
        ("second.mp4", 3),
        ("third.mp4", 3),
    ]
    assert [sink.dropped_sound_frames for sink in report.sinks] == [0, 0, 11 * RATE_HZ, 0]
    rows = dict(picture_rows(report))
    assert rows["third.mp4"].startswith("3 shown, 0 left out")
    assert "528,000 lost" in rows["second.mp4"]
    assert report.as_dict()["sinks"][2]["name"] == "second.mp4"


class FailsAtTheEnd(Screen):
    def stop(self) -> None:
        self.error = MediaError("take.mp4: closing failed; make room and record anew")


def test_a_sink_that_fails_as_it_is_stopped_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, picture_takes_ms=0.0)
    stage.picture.add_sink(FailsAtTheEnd(stage.clock))
    with stage.performance as performance:
        give(stage, 1)
        performance.check_recordings()
    with pytest.raises(MediaError, match="closing failed"):
        performance.check_recordings()
    report = report_of(stage)
    assert [sink.error for sink in report.sinks] == [
        "",
        "take.mp4: closing failed; make room and record anew",
    ]
    assert ("FailsAtTheEnd", report.sinks[1].error) in picture_rows(report)


def test_a_voice_whose_recording_fails_at_its_end_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    stage.play(0.1)

    def broken() -> None:
        raise MediaError("voice.wav: is the disk full?")

    monkeypatch.setattr(stage.voice, "check_recording", broken)
    with pytest.raises(MediaError, match="full"):
        stage.performance.check_recordings()


def test_a_recording_that_cannot_be_finished_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bunraku.cli import main
    from bunraku.io import video_writer

    def broken(self: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video_writer.VideoMuxer, "finish", broken)
    monkeypatch.chdir(tmp_path)
    Path("preset.toml").write_text(
        '[picture]\nsource = { type = "test", width = 64, height = 64 }\n'
    )
    with pytest.raises(SystemExit) as caught:
        main.run(["live", "preset.toml", "--out", "take.mp4", "--seconds", "0.5", "--json"])
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert "take.mp4: recording failed: OSError(28, 'No space left" in printed.err
    (sink,) = json.loads(printed.out)["picture"]["sinks"]
    assert (sink["name"], "No space left on device" in sink["error"]) == ("take.mp4", True)


# ---- the end of a performance -------------------------------------------------------------------


def noted_stops(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was stopped, in order; a sink each time."""
    order: list[str] = []

    def note(thing: Any, name: str) -> None:
        stop = thing.stop

        def noted() -> None:
            order.append(name)
            stop()

        monkeypatch.setattr(thing, "stop", noted)

    note(stage.camera, "camera")
    note(stage.voice, "voice")
    note(stage.screen, "screen")
    return order


def test_a_performance_ends_frames_then_voice_then_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the voice's fade still comes to a recording, whose pictures do not go on without it."""
    stage = Stage(monkeypatch)
    order = noted_stops(stage, monkeypatch)
    stage.play(0.1)
    assert order == ["camera", "voice", "camera", "screen"]


def test_a_voice_that_cannot_be_stopped_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    order = noted_stops(stage, monkeypatch)

    def broken() -> None:
        order.append("voice")
        raise MediaError("voice.wav: closing failed; make room")

    monkeypatch.setattr(stage.voice, "stop", broken)
    with pytest.raises(MediaError, match="make room"):
        stage.play(0.1)
    assert order == ["camera", "voice", "camera", "screen"]
    assert not stage.performance._keeper.is_alive()
    seconds = stage.performance.report().seconds
    stage.performance.stop()
    assert stage.performance.report().seconds == seconds, "it has ended"


def test_what_was_opened_is_closed_when_a_voice_cannot_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from contextlib import ExitStack

    from bunraku.session.open_performance import OpenedPerformance

    stage, closed = Stage(monkeypatch), []
    closing = ExitStack()
    closing.callback(closed.append, "the microphone")
    monkeypatch.setattr(stage.voice, "stop", lambda: pytest.fail("it does not stop"))
    opened = OpenedPerformance(stage.performance, closing)
    with pytest.raises(pytest.fail.Exception), opened:
        pass
    assert closed == ["the microphone"]


def test_the_cost_of_making_up_frames_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, interpolate=True)
    costs = {1: 40_000, 2: 70_000, 3: 100_000}
    monkeypatch.setattr("bunraku.session.video_session.filling_costs_ns", lambda frame: costs)
    demands: list[Any] = []
    admit = stage.scheduler.admit
    monkeypatch.setattr(
        stage.scheduler, "admit", lambda demand, **_: demands.append(demand) or admit(demand)
    )
    stage.picture.prepare()
    plain = VideoSession(stage.camera, [], [], scheduler=stage.picture._scheduler)
    plain.prepare()
    more = [a - b for a, b in zip(*(d.rung_costs_ns for d in demands), strict=True)]
    assert more == pytest.approx([0, 20_000, 23_333, 25_000], abs=1)
    stage.picture.stop()
    plain.stop()
