"""`bunraku serve` without a browser: who is let in, what is refused, and a session by WebRTC."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import BunrakuError, DeviceError, UserInputError

pytest.importorskip("aiortc", reason="aiortc is missing: pip install 'bunraku[web]'")
pytest.importorskip("starlette", reason="starlette is missing: pip install 'bunraku[web]'")
pytest.importorskip("websockets", reason="websockets is missing: pip install 'bunraku[web]'")
pytest.importorskip("prometheus_client", reason="prometheus-client is missing")
pytest.importorskip("cv2", reason="OpenCV is missing: pip install 'bunraku[video]'")

from bunraku.effects.audio.native_model import load_model
from bunraku.effects.audio.python_effect import AudioEffect, Block
from bunraku.formats.performance import read_performance
from bunraku.scheduler.process_scheduler import borrow_scheduler, give_back
from bunraku.serving.access import AccessRules, split_host, token_for
from bunraku.serving.aiortc_tuning import with_bitrates
from bunraku.serving.audio_message import AudioMessage, read_audio_message, write_audio_message
from bunraku.serving.browser_clock import BrowserClock
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.effect_schema import check_visitor_settings, effect_schemas
from bunraku.serving.faults import Faults
from bunraku.serving.messages import Offer, Ping, read_control
from bunraku.serving.peer import check_offer
from bunraku.serving.preset_shelf import PresetShelf
from bunraku.serving.recent_latency import RecentLatency
from bunraku.serving.sender_reports import SenderReports
from bunraku.serving.server import serve
from bunraku.serving.settings import ServeSettings, serve_settings
from bunraku.session.control.desk import ControlDesk
from bunraku.session.open_performance import video_effects
from bunraku.streaming.rate_limit import RateLimit

RATE = 48_000
TOKEN = "a-token-of-many-letters"


# ---- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [0, 1])
def test_a_block_of_sound_goes_there_and_back(form: int) -> None:
    samples = np.linspace(-0.9, 0.9, 256, dtype=np.float32)[:, None]
    data = write_audio_message(AudioMessage(samples, 7, RATE, form, 1.7e12))
    back = read_audio_message(data)
    assert (back.sequence, back.sample_rate_hz, back.format) == (7, RATE, form)
    assert back.captured_ms == 1.7e12
    np.testing.assert_allclose(back.samples, samples, atol=0 if form == 0 else 1 / 32_000)


def test_what_is_no_block_of_sound_is_refused() -> None:
    good = write_audio_message(AudioMessage(np.zeros((128, 1), np.float32), 0, RATE))
    bad = [b"", good[:15], b"X" + good[1:], good[:-1], good + b"0", good[:4] + b"\x02" + good[5:]]
    for frames, rate in ((127, RATE), (1025, RATE), (128, 7_999), (128, 192_001)):
        header = struct.pack("<4sBBHIId", b"BNKA", 0, 0, frames, 0, rate, 0.0)
        bad.append(header + bytes(4 * frames))
    for captured_ms in (-1.0, np.nan, np.inf, 1e14):
        header = struct.pack("<4sBBHIId", b"BNKA", 0, 0, 128, 0, RATE, captured_ms)
        bad.append(header + bytes(4 * 128))
    for data in bad:
        with pytest.raises(UserInputError):
            read_audio_message(data)


def test_sound_that_is_not_finite_is_silence() -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 1e30] * 32, np.float32)[:, None]
    back = read_audio_message(write_audio_message(AudioMessage(samples, 0, RATE))).samples
    assert np.isfinite(back).all()
    assert np.abs(back).max() <= 8.0


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{", '{"type": "fly"}', '{"type": "record"}',
        '{"type": "record", "on": 1}', '{"type": "ping", "browser_ms": NaN}',
        '{"type": "record", "on": true, "more": 1}', '{"type": "choose_preset", "name": ""}',
        json.dumps({"type": "offer", "sdp": "v=0", "width": 10_000, "height": 480, "rate_hz": 30}),
        json.dumps({"type": "offer", "sdp": "x" * 70_000, "width": 64, "height": 48, "rate_hz": 1}),
        json.dumps({"type": "set_effects", "effects": [{"effect": "beauty"}] * 17}),
        json.dumps({"type": "change_effect", "name": "beauty", "settings": {"strength": [1]}}),
        "[" * 50_000,
    ],
)  # fmt: skip
def test_malformed_control_messages_are_refused_in_a_line(text: str) -> None:
    with pytest.raises(UserInputError) as raised:
        read_control(text)
    assert len(str(raised.value)) < 600


def test_well_formed_messages_are_read() -> None:
    ping = read_control('{"type": "ping", "browser_ms": 12}')
    assert isinstance(ping, Ping)
    offer = {"type": "offer", "sdp": "v=0", "width": 640, "height": 480, "rate_hz": 30}
    assert isinstance(read_control(json.dumps(offer)), Offer)


def test_offers_of_many_parts_are_refused() -> None:
    check_offer("v=0\nm=video 9\na=candidate:1\n")
    for sdp in ("v=0\n", "m=video\n" * 5, "m=video\n" + "a=candidate:1\n" * 65):
        with pytest.raises(UserInputError):
            check_offer(sdp)


def test_the_answer_names_bitrates() -> None:
    sdp = "m=video 9 UDP 96\r\na=rtpmap:96 VP8/90000\r\na=sendrecv\r\n"
    lines = with_bitrates(sdp).split("\r\n")
    assert lines[2].startswith("a=fmtp:96 x-google-min-bitrate=")
    assert lines[3] == "a=sendrecv"
    assert with_bitrates("m=audio\r\n") == "m=audio\r\n"


# ---- limits --------------------------------------------------------------------------------------


def test_the_rate_of_messages_is_bounded() -> None:
    bucket = RateLimit(10.0, 5)
    assert [bucket.allows(1) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.allows(1 + 100_000_000)
    assert not bucket.allows(2 + 100_000_000)
    faults = Faults(2)
    faults.add()
    assert not faults.too_many
    faults.add()
    assert faults.too_many


def test_recent_latencies_are_forgotten() -> None:
    recent = RecentLatency()
    for k in range(100):
        recent.add(k, (k + 1) * 1_000_000)
    figures = recent.figures(100)
    assert (figures.count, figures.p50, figures.p99) == (100, 51.0, 100.0)
    assert recent.figures(10_000_000_000).count == 0


def test_visitors_name_no_files() -> None:
    with pytest.raises(UserInputError, match="preset"):
        check_visitor_settings("neural", {"file": "/etc/passwd"})
    with pytest.raises(UserInputError):
        check_visitor_settings("background_replace", {"picture": "../a.png"})
    check_visitor_settings("neural", {"file": "watercolour"})


def test_every_effect_offers_controls() -> None:
    schemas = {schema["name"]: schema for schema in effect_schemas()}
    assert "background_blur" in schemas
    assert "background_replace" not in schemas, "it needs a file, which comes with a preset"
    for schema in schemas.values():
        for control in schema["settings"]:
            assert control["description"]
            assert control["type"] in {"number", "integer", "boolean", "string"}


# ---- who is let in -------------------------------------------------------------------------------


def scope(
    kind: str = "http", method: str = "GET", path: str = "/", query: str = "", **headers: str
):
    named = {"host": "127.0.0.1:8470", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return {
        "type": kind, "method": method, "path": path, "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in named.items() if v],
    }  # fmt: skip


def status(rules: AccessRules, **request: str) -> int:
    refusal = rules.refusal(scope(**request))
    return 200 if refusal is None else refusal.status


def test_other_hosts_are_refused() -> None:
    rules = AccessRules(8470)
    assert status(rules) == 200
    assert status(rules, host="localhost:8470") == 200
    assert status(rules, host="[::1]:8470") == 200
    for host in ("evil.example:8470", "127.0.0.1:80", "127.0.0.1", "192.168.1.2:8470", ""):
        assert status(rules, host=host) == 421, host
    wide = AccessRules(8470, TOKEN, False, frozenset({"studio.lan"}))
    assert status(wide, host="192.168.1.2:8470", query=f"token={TOKEN}") == 200
    assert status(wide, host="studio.lan:8470", query=f"token={TOKEN}") == 200
    assert status(wide, host="evil.example:8470", query=f"token={TOKEN}") == 421
    assert split_host("[::1]") == ("::1", 80)
    assert split_host("a:b")[1] == -1


def test_other_origins_are_refused() -> None:
    rules = AccessRules(8470)
    for request in ({"kind": "websocket"}, {"method": "POST"}):
        assert status(rules, **request, origin="http://127.0.0.1:8470") == 200
        for origin in ("", "null", "http://evil.example", "http://localhost:8470"):
            assert status(rules, **request, origin=origin) == 403, origin


def test_the_token_is_demanded() -> None:
    rules = AccessRules(8470, TOKEN)
    assert status(rules) == 401
    assert status(rules, query="token=wrong") == 401
    assert status(rules, query=f"token={TOKEN}") == 200
    assert status(rules, cookie=f"bunraku_8470={TOKEN}") == 200
    assert status(rules, cookie="bunraku_8470=wrong") == 401
    assert status(rules, authorization=f"Bearer {TOKEN}") == 200
    assert status(rules, path="/healthz") == 200
    assert status(rules, path="/metrics") == 401


def test_a_header_that_comes_twice_counts_as_none() -> None:
    request = scope()
    request["headers"].append((b"Host", b"evil.example"))
    refusal = AccessRules(8470).refusal(request)
    assert refusal is not None
    assert refusal.status == 421


def test_beyond_loopback_there_is_a_token() -> None:
    assert token_for("127.0.0.1", None) is None
    made = token_for("0.0.0.0", None)
    assert made is not None
    assert len(made) >= 32
    for weak in ("short", "with a space in its middle"):
        with pytest.raises(UserInputError, match="token"):
            token_for("127.0.0.1", weak)


def test_settings_are_checked(tmp_path: Path) -> None:
    for wrong in (
        {"max_sessions": 0}, {"port": 0}, {"recordings": tmp_path / "none" / "there"},
        {"server_devices": True}, {"certificate": tmp_path}, {"presets": tmp_path / "none"},
    ):  # fmt: skip
        with pytest.raises(UserInputError):
            serve_settings(**wrong)  # type: ignore[arg-type]


def test_bundled_presets_are_sound() -> None:
    shelf = PresetShelf()
    assert shelf.faults == []
    assert len(shelf.paths) >= 5
    for path in shelf.paths.values():
        picture = read_performance(path).picture
        assert picture is not None
        video_effects(picture.effect, path)


# ---- a voice -------------------------------------------------------------------------------------


@contextlib.contextmanager
def a_voice(clock: BrowserClock | None = None) -> Iterator[BrowserVoice]:
    scheduler = borrow_scheduler()
    voice = BrowserVoice(
        load_model("radio"),
        scheduler=scheduler,
        name="a test's voice",
        clock=clock or BrowserClock(),
    )
    try:
        yield voice
    finally:
        voice.close()
        give_back(scheduler)


def play(voice: BrowserVoice, sound: np.ndarray, first: int = 0) -> np.ndarray:
    """Blocks of 256, one after the other."""
    return np.concatenate(
        [
            voice.submit(AudioMessage(sound[k : k + 256, None], first + k // 256, RATE))
            .result(10)
            .samples[:, 0]
            for k in range(0, len(sound), 256)
        ]
    )


def test_the_voice_is_transformed_block_by_block() -> None:
    tone = 0.4 * np.sin(2 * np.pi * 300 * np.arange(256 * 64) / RATE).astype(np.float32)
    with a_voice() as voice:
        spectrum = np.abs(np.fft.rfft(play(voice, tone)[-4096:] * np.hanning(4096)))
        base = round(300 * 4096 / RATE)
        harmonics = max(spectrum[3 * base - 3 : 3 * base + 4].max(), spectrum[2 * base].max())
        assert harmonics > 0.003 * spectrum.max(), "a radio distorts"
        voice.swap(load_model("tape"))
        voice.set_python_effects(voice.open_python_effects(["ring_modulator"]))
        play(voice, tone[:256], 70)
        figures = voice.figures(time.monotonic_ns())
        assert (figures.blocks, figures.lost) == (65, 6)
        with pytest.raises(UserInputError, match="44100"):
            voice.submit(AudioMessage(tone[:256, None], 71, 44_100)).result(10)
        with pytest.raises(UserInputError):
            voice.open_python_effects(["no such effect"])
    with pytest.raises(BunrakuError):
        voice.submit(AudioMessage(tone[:256, None], 72, RATE)).result(10)


def test_a_muted_voice_is_silent_and_what_is_set_outlives_the_connection() -> None:
    tone = 0.4 * np.sin(2 * np.pi * 300 * np.arange(256 * 40) / RATE).astype(np.float32)
    with a_voice() as voice:
        plain = play(voice, tone)
        voice.set_muted(True)
        muted = play(voice, tone, 40)
        assert np.abs(np.diff(muted)).max() < 1.5 * np.abs(np.diff(plain)).max(), "no click"
        assert not muted[2 * 480 :].any()
        voice.restart()
        assert not play(voice, tone).any(), "muted it stays"


def test_a_block_that_waits_when_the_voice_ends_is_refused() -> None:
    gate = threading.Event()
    with a_voice() as voice:
        play(voice, np.zeros(256, np.float32))
        voice.set_python_effects([Hangs(gate)])
        hung = voice.submit(AudioMessage(np.zeros((256, 1), np.float32), 1, RATE))
        voice.close()
        with pytest.raises(BunrakuError, match="ended"):
            hung.result(5)
        gate.set()


class Hangs(AudioEffect):
    """Not in the catalogue: it has no name."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__(sample_rate_hz=RATE, channels=1)
        self.gate = gate

    def process(self, block: Block) -> Block:
        self.gate.wait(20)
        return block


def test_times_that_make_no_sense_are_not_believed() -> None:
    clock = BrowserClock()
    now_ms, taken = 1.7e12, []
    clock.observe(now_ms, time.monotonic_ns())
    with a_voice(clock) as voice:
        voice.take(lambda samples, time_ns: taken.append(time_ns))
        for k, captured_ms in enumerate((1e13, now_ms - 3.6e6, now_ms + 3.6e6, 5.0)):
            block = AudioMessage(np.zeros((256, 1), np.float32), k, RATE, 0, captured_ms)
            assert not voice.is_too_old(block)
            voice.process(block, time.monotonic_ns())
        late = AudioMessage(np.zeros((256, 1), np.float32), 9, RATE, 0, now_ms - 2000.0)
        assert voice.is_too_old(late), "two seconds in a queue"
    assert max(abs(time.monotonic_ns() - time_ns) for time_ns in taken) < 5e9


def test_another_rate_ends_the_sound_of_a_recording() -> None:
    said: list[str] = []
    taken: list[int] = []
    with a_voice() as voice:
        voice._on_message = said.append
        play(voice, np.zeros(256, np.float32))
        voice.take(lambda samples, time_ns: taken.append(len(samples)))
        voice.restart()
        voice.submit(AudioMessage(np.zeros((128, 1), np.float32), 0, 16_000)).result(10)
    assert taken == []
    assert "without sound" in said[0]


def test_a_swap_without_sound_does_not_hang() -> None:
    with a_voice() as voice:
        play(voice, np.zeros(256, np.float32))
        for name in ("tape", "fuzz", "radio"):
            voice.swap(load_model(name))
        assert voice.model.name == load_model("radio").name
        play(voice, np.zeros(512, np.float32), 1)


def test_a_block_is_handed_on_with_the_time_of_its_capture() -> None:
    clock = BrowserClock()
    began_ms = 1.7e12
    here_ns = 5_000_000_000_000
    for way_ns in (9_000_000, 400_000, 30_000_000):
        clock.observe(began_ms, here_ns + way_ns)
    taken: list[int] = []
    with a_voice(clock) as voice:
        voice.take(lambda samples, time_ns: taken.append(time_ns))
        for k in range(400):
            jitter_ms = (k % 3) * 2.0
            captured_ms = began_ms + 1e3 * 256 * k / RATE + jitter_ms
            block = AudioMessage(np.zeros((256, 1), np.float32), k, RATE, 0, captured_ms)
            voice.process(block, here_ns + 256 * k * 1_000_000_000 // RATE + 20_000_000)
    expected = here_ns + 400_000 + 256 * 1_000_000_000 * np.arange(400) / RATE + 2_000_000
    assert np.abs(np.array(taken) - expected)[200:].max() < 1_500_000, "but for the jitter's mean"


def test_a_browser_s_clock_is_believed_by_its_quickest_messages() -> None:
    clock = BrowserClock()
    assert clock.monotonic_ns(1.0) is None
    for way_ns in (3_000_000, 200_000, 9_000_000):
        clock.observe(1000.0, 7_000_000_000 + way_ns)
    assert clock.monotonic_ns(1500.0) == 7_500_200_000
    clock.observe(1000.0, 7_000_000_000 + 3_500_000_000)
    assert clock.monotonic_ns(1500.0) == 7_500_200_000, "one that was late for seconds was late"
    clock.observe(900_000.0, 8_000_000_000)
    assert clock.monotonic_ns(900_000.0) == 8_000_000_000, "it was set ahead"
    for k in range(5):
        clock.observe(1000.0 + k, 90_000_000_000 + k * 1_000_000)
    assert clock.monotonic_ns(1000.0) == 90_000_000_000, "it was set back"


def test_sender_reports_date_frames() -> None:
    reports = SenderReports()
    assert reports.sender_ms(0) is None
    unix_s = 1_790_000_000.25
    ntp = round((unix_s + 2_208_988_800) * (1 << 32))
    reports.report(ntp, (1 << 32) - 45_000)
    assert reports.sender_ms((1 << 32) - 45_000 - 90_000) == pytest.approx(1e3 * unix_s - 1000)
    assert reports.sender_ms(45_000) == pytest.approx(1e3 * unix_s + 1000), "over the wrap"


# ---- the whole server, with aiortc as the browser ------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(**wanted: Any) -> AsyncIterator[ServeSettings]:
    settings = serve_settings(port=free_port(), **wanted)
    stopping, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(serve(settings, stopping, ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running
    try:
        yield settings
    finally:
        stopping.set()
        await asyncio.wait_for(running, 10)


def connect(settings: ServeSettings, path: str = "/control", origin: str | None = None) -> Any:
    from websockets.asyncio.client import connect as dial

    host = f"127.0.0.1:{settings.port}"
    return dial(f"ws://{host}{path}", origin=origin or f"http://{host}", compression=None)


PATIENT = """
name = "Patient"
[voice]
model = "tape"
[picture]
latency_ms = 200.0
[[picture.effect]]
type = "colour_look"
look = "cinema"
lowest_tier = "7 bits"
"""


def test_a_preset_s_limits_hold_in_a_browser_too(tmp_path: Path) -> None:
    """Latency and lowest tiers; effects go off and on with their settings; a mute is shown."""
    from bunraku.session.video_session import VideoSession

    (tmp_path / "patient.toml").write_text(PATIENT)

    async def work() -> None:
        async with serving(preset=tmp_path / "patient.toml") as settings, connect(settings) as line:
            await state_that(line, lambda state: state["preset"] == "Patient")
            async with calling(line) as track:
                await colour(track, 2)
                (session,) = [one for one in gc.get_objects() if type(one) is VideoSession]
                assert session.budget_ns == pytest.approx(234e6)
                assert all(rung.tiers["colour_look"] == 0 for rung in session._ladder)
                await line.send('{"type": "ping", "browser_ms": 1}')
                key = (await state_that(line, lambda s: s["camera"]))["effects"][0]["key"]
                change = {"type": "change_effect", "key": key}
                await line.send(json.dumps({**change, "settings": {"strength": 0.25}}))
                await state_that(line, lambda s: s["effects"][0]["settings"]["strength"] == 0.25)
                for tag, on in enumerate((False, True), 1):
                    one = {"effect": "colour_look", "kept": key, "on": on,
                           "settings": {"strength": 0.25, "look": "cinema"}}  # fmt: skip
                    message = {"type": "set_effects", "effects": [one], "tag": tag}
                    await line.send(json.dumps(message))
                    state = await state_that(line, lambda s, tag=tag: s["tag"] == tag)
                    assert (state["effects"][0]["on"], state["effects"][0]["key"]) == (on, key)
                    assert list(session.effects) == (["colour_look"] if on else [])
                assert session.effects["colour_look"].settings.strength == 0.25
                await line.send('{"type": "mute", "on": true}')
                await state_that(line, lambda state: state["muted"])

    in_loop(work)


WRONG = [
    {"effect": "colour_look", "settings": {"type": "x"}},
    {"effect": "colour_look", "settings": {"lowest_tier": 5}},
    {"effect": "colour_look", "settings": {"look": "file", "file": "../secret.cube"}},
    {"effect": "anonymise", "settings": {"cells": 1 << 60}},
    {"effect": "anonymise", "settings": {f"s{k}": 1 for k in range(40)}},
    {"effect": "no such effect"},
    {"effect": "anonymise", "kept": 999_999_999},
]


def test_no_wish_ends_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong wishes, a preset that is gone, and faults of our own."""
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "gone.toml").write_text(PATIENT.replace("Patient", "Gone"))

    async def work() -> None:
        async with serving(presets=folder) as settings, connect(settings) as line:
            await until(line, "welcome")
            for wrong in WRONG:
                await line.send(json.dumps({"type": "set_effects", "effects": [wrong]}))
                assert (await until(line, "error"))["text"]
            (folder / "gone.toml").unlink()
            await line.send('{"type": "choose_preset", "name": "Gone"}')
            text = (await until(line, "error"))["text"]
            assert "gone.toml" in text
            assert str(tmp_path) not in text
            monkeypatch.setattr(ControlDesk, "_do", broken)
            await line.send('{"type": "choose_preset", "name": "Natural"}')
            assert "ZeroDivisionError" in (await until(line, "error"))["text"]
            await line.send('{"type": "ping", "browser_ms": 5}')
            await until(line, "pong")

    in_loop(work)


def broken(desk: Any, action: Any) -> None:
    raise ZeroDivisionError


def test_a_mute_does_not_wait_and_what_was_passed_over_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: list[str] = []
    go_on = threading.Event()

    def slow(desk: ControlDesk, name: str) -> None:
        chosen.append(name)
        assert go_on.wait(20)

    monkeypatch.setattr(ControlDesk, "_choose", slow)

    async def work() -> None:
        async with serving() as settings, connect(settings) as line:
            await until(line, "welcome")
            names = ["Natural", "Night radio", "Masked", "Painted"]
            for name in names:
                await line.send(json.dumps({"type": "choose_preset", "name": name}))
                while not chosen:
                    await asyncio.sleep(0.01)
            await line.send('{"type": "mute", "on": true}')
            await state_that(line, lambda state: state["muted"])
            await line.send('{"type": "ping", "browser_ms": 5}')
            await until(line, "pong")
            assert chosen == ["Natural"]
            go_on.set()
            await line.send('{"type": "set_voice", "model": "tape"}')
            await state_that(line, lambda state: state["voice"]["model"] == "tape")
            assert chosen == ["Natural", "Painted"]

    in_loop(work)


def test_an_audio_socket_ends_with_its_session() -> None:
    async def work() -> None:
        from websockets.exceptions import ConnectionClosed

        async with serving() as settings:
            async with connect(settings) as line:
                key = (await until(line, "welcome"))["key"]
                sound = await connect(settings, f"/audio?key={key}")
                await sound.send(
                    write_audio_message(AudioMessage(np.zeros((256, 1), np.float32), 0, RATE))
                )
                await sound.recv()
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(sound.recv(), 10)
            assert closed.value.rcvd.code == 1001

    in_loop(work)


async def until(line: Any, kind: str, timeout_s: float = 15.0) -> dict[str, Any]:
    async def wait() -> dict[str, Any]:
        while True:
            message = json.loads(await line.recv())
            if message["type"] == kind:
                return dict(message)

    return await asyncio.wait_for(wait(), timeout_s)


def camera() -> Any:
    import av
    from aiortc import VideoStreamTrack

    class Camera(VideoStreamTrack):
        async def recv(self) -> Any:
            pts, time_base = await self.next_timestamp()
            pixels = np.full((120, 160, 3), 60, np.uint8)
            pixels[:, :, 2] = 180  # red, for a look to change
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts, frame.time_base = pts, time_base
            return frame

    return Camera()


@contextlib.asynccontextmanager
async def calling(line: Any, rate_hz: float = 30.0) -> AsyncIterator[Any]:
    """The track that comes back. rate_hz: what is promised, and booked."""
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = camera()
    try:
        peer.addTrack(track)
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"type": "offer", "sdp": peer.localDescription.sdp}
        await line.send(json.dumps({**offer, "width": 160, "height": 120, "rate_hz": rate_hz}))
        answer = await until(line, "answer")
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        yield peer.getReceivers()[0].track
    finally:
        track.stop()
        await peer.close()


async def colour(track: Any, frames: int = 1) -> np.ndarray:
    """Blue, green, red of the last of so many frames."""
    picture = np.zeros((1, 1, 3), np.uint8)
    for _ in range(frames):
        picture = (await asyncio.wait_for(track.recv(), 10)).to_ndarray(format="bgr24")
    return np.asarray(picture.mean(axis=(0, 1)))


def in_loop(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))  # type: ignore[arg-type]


def test_a_session_from_the_first_picture_to_the_recording(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(recordings=tmp_path) as settings, connect(settings) as line:
            welcome = await until(line, "welcome")
            address = f"/audio?key={welcome['key']}"
            async with calling(line) as track, connect(settings, address) as sound:
                before = await colour(track, 5)
                assert before[2] > before[0] + 60, "it is red"
                block = write_audio_message(AudioMessage(np.zeros((256, 1), np.float32), 0, RATE))
                for _ in range(40):
                    await sound.send(block)
                    assert len(await sound.recv()) == len(block)
                await line.send('{"type": "record", "on": true}')
                await line.send('{"type": "choose_preset", "name": "Night radio"}')
                await state_that(line, lambda state: state["preset"] == "Night radio")
                changed = 0.0
                for _ in range(150):
                    changed = float(np.abs(await colour(track) - before).max())
                    if changed > 4:
                        break
                assert changed > 4, "the look changes the picture"
                figures = await until(line, "figures")
                assert figures["picture"]["shown"] > 5
                assert figures["voice"]["blocks"] == 40
                text = await fetch(settings, "/metrics")
                assert b"bunraku_sessions 1.0" in text
                assert b"bunraku_audio_block_seconds_count 40.0" in text
                await line.send('{"type": "record", "on": false}')
                recorded = await a_recording(line)
                assert b"ftyp" in (await fetch(settings, recorded["address"]))
                assert b"404" in await fetch(settings, "/recordings/x/" + recorded["name"])

    in_loop(work)
    assert pictures_in(next(tmp_path.glob("*.mp4"))) >= 3


async def state_that(line: Any, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while not fits(state := await until(line, "state")):
        pass
    return state


async def a_recording(line: Any) -> dict[str, Any]:
    state = await state_that(line, lambda state: bool(state["recordings"]))
    return dict(state["recordings"][0])


async def fetch(settings: ServeSettings, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.port)
    host = f"127.0.0.1:{settings.port}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def pictures_in(path: Path) -> int:
    import av

    with av.open(str(path)) as file:
        return len(list(file.decode(video=0)))


def test_the_server_s_end_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(recordings=tmp_path) as settings:
            line = await connect(settings)
            await until(line, "welcome")
            async with calling(line) as track:
                await colour(track, 3)
                await line.send('{"type": "record", "on": true}')
                await colour(track, 15)
                # the server is asked to end here, in the middle of all

    in_loop(work)
    assert pictures_in(next(tmp_path.glob("*.mp4"))) >= 3


def test_a_thousand_malformed_messages_end_their_connection_only() -> None:
    async def work() -> None:
        from websockets.exceptions import ConnectionClosed

        async with serving() as settings, connect(settings) as quiet:
            await until(quiet, "welcome")
            assert await flood(settings, "/control") == 1008
            async with connect(settings) as owner:
                key = (await until(owner, "welcome"))["key"]
                assert await flood(settings, f"/audio?key={key}") == 1008
            await quiet.send('{"type": "ping", "browser_ms": 5}')
            assert (await until(quiet, "pong"))["browser_ms"] == 5

            huge = await connect(settings)
            await huge.send("x" * 200_000)
            with pytest.raises(ConnectionClosed):
                await drain(huge)

    in_loop(work)


async def drain(line: Any) -> None:
    while True:
        await line.recv()


async def flood(settings: ServeSettings, path: str) -> int:
    from websockets.exceptions import ConnectionClosed

    errors = 0
    line = await connect(settings, path)
    try:
        for k in range(1000):
            await line.send("{" if k % 2 else b"nonsense")
        while True:
            errors += b"error" in (m if isinstance(m := await line.recv(), bytes) else m.encode())
    except ConnectionClosed as end:
        assert errors > 0
        return int(end.rcvd.code) if end.rcvd else 0
    finally:
        await line.close()


def test_sessions_are_limited_and_strangers_refused() -> None:
    async def work() -> None:
        from websockets.exceptions import ConnectionClosed, InvalidStatus

        async with serving(max_sessions=1) as settings, connect(settings) as line:
            await until(line, "welcome")
            async with connect(settings) as second:
                assert "1 of 1" in (await until(second, "error"))["text"]
                with pytest.raises(ConnectionClosed):
                    await second.recv()
            for path, origin in (("/control", "http://evil.example"), ("/audio?key=x", None)):
                with pytest.raises(InvalidStatus):
                    await connect(settings, path, origin)
            bad = json.dumps(
                {"type": "offer", "sdp": "m=video nonsense", "width": 160, "height": 120,
                 "rate_hz": 30.0}
            )  # fmt: skip
            await line.send(bad)
            assert "offer" in (await until(line, "error"))["text"]
            await line.send('{"type": "record", "on": true}')
            assert "--recordings" in (await until(line, "error"))["text"]

    in_loop(work)


def test_a_port_that_is_taken_is_said_in_a_line() -> None:
    async def work() -> None:
        async with serving() as settings:
            with pytest.raises(DeviceError, match="--port"):
                await serve(settings, asyncio.Event(), lambda: None)

    in_loop(work)


def test_ten_sessions_leave_nothing_behind() -> None:
    """The whole of ten sessions twenty times is in benchmarks/browser_latency.py."""

    async def visit(settings: ServeSettings) -> None:
        async with connect(settings) as line:
            await until(line, "welcome")
            async with calling(line, 5.0) as track:
                await colour(track, 2)

    async def work() -> None:
        async with serving(max_sessions=10) as settings:
            await asyncio.gather(*(visit(settings) for _ in range(2)))
            before = await settled()
            await asyncio.gather(*(visit(settings) for _ in range(10)))
            for _ in range(100):
                after = await settled()
                if after[0] <= before[0] + 2 and after[1] <= before[1] + 2:
                    break
                await asyncio.sleep(0.05)
            # the loop's own encoder threads may still be growing to their fixed number
            assert after[0] <= before[0] + 2, [t.name for t in threading.enumerate()]
            assert after[1] <= before[1] + 2, "file descriptors, and with them ports"

    in_loop(work)


async def settled() -> tuple[int, int]:
    gc.collect()
    await asyncio.sleep(0.1)
    kept = [t for t in threading.enumerate() if not t.name.startswith(("asyncio", "bunraku-contr"))]
    return len(kept), len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def osc(port: int, address: str, *values: float) -> None:
    from pythonosc.udp_client import SimpleUDPClient

    SimpleUDPClient("127.0.0.1", port).send_message(address, values)


STAGE = """
name = "Stage"
[control.osc]
port = OSC_PORT
[voice]
model = "tape"
source = { type = "file", file = "tone.wav", loop = true }
sink = { type = "none" }
[picture]
source = { type = "test", width = 160, height = 128 }
"""


def test_a_stage_is_watched_and_controlled(tmp_path: Path) -> None:
    """The server's own devices: both pictures come from there, two tabs share one desk."""
    from browser.fake_devices import write_wav

    write_wav(tmp_path / "tone.wav", np.full(RATE, 0.1, np.float32))
    port = free_udp_port()
    (tmp_path / "stage.toml").write_text(STAGE.replace("OSC_PORT", str(port)))

    async def work() -> None:
        wanted = {"preset": tmp_path / "stage.toml", "recordings": tmp_path, "max_sessions": 2}
        async with (
            serving(server_devices=True, **wanted) as settings,
            connect(settings) as line,
            connect(settings) as other,
        ):
            assert not (await until(line, "welcome"))["browser_devices"]
            await until(other, "welcome")
            async with watching(line) as (before, after):
                await colour(before, 3)
                await colour(after, 3)
                await line.send('{"type": "record", "on": true}')
                message = {"type": "set_effects", "effects": [{"effect": "colour_look"}]}
                await other.send(json.dumps(message))
                await state_that(line, lambda state: len(state["effects"]) == 1)
                osc(port, "/mute", 1)
                await state_that(line, lambda state: state["muted"])
                osc(port, "/effect/colour_look", 0)
                await state_that(
                    other, lambda state: [e["on"] for e in state["effects"]] == [False]
                )
                await other.send('{"type": "set_voice", "model": "radio"}')
                await state_that(line, lambda state: state["voice"]["model"] == "radio")
                await colour(after, 10)
                assert (await until(line, "figures"))["voice"]["blocks"] > 10
                await line.send('{"type": "record", "on": false}')
                await a_recording(other)

    in_loop(work)
    assert pictures_in(next(tmp_path.glob("*.mp4"))) >= 3


@contextlib.asynccontextmanager
async def watching(line: Any) -> AsyncIterator[list[Any]]:
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for _ in range(2):
            peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"type": "offer", "sdp": peer.localDescription.sdp}
        await line.send(json.dumps({**offer, "width": 160, "height": 128, "rate_hz": 30}))
        answer = await until(line, "answer")
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        yield [receiver.track for receiver in peer.getReceivers()]
    finally:
        await peer.close()
