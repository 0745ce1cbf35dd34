"""Real PortAudio streams over a PulseAudio of our own: sound goes through, a loss is told."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gain_models import gain_bytes
from sound_server import JackServer, PulseServer, missing_programs

pytestmark = pytest.mark.device
ENGINE = str(Path(__file__).parent.parent / "engine")


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[PulseServer]:
    if missing_programs():
        pytest.skip(f"not installed: {', '.join(missing_programs())}")
    server = PulseServer(tmp_path)
    if not server.ready:
        server.kill()
        pytest.skip("PulseAudio does not start here")
    (tmp_path / "gain.bnk").write_bytes(gain_bytes(-6.0))
    yield server
    server.kill()


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[JackServer]:
    if missing := missing_programs("jackd", "jack_wait"):
        pytest.skip(f"not installed: {', '.join(missing)}")
    server = JackServer(tmp_path)
    if not server.ready:
        server.kill()
        pytest.skip("jackd does not start here")
    (tmp_path / "gain.bnk").write_bytes(gain_bytes(-6.0))
    yield server
    server.kill()


def live(server: PulseServer, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bunraku.cli.main", "live", "-m", str(folder / "gain.bnk")]
    return subprocess.Popen(
        [*command, "--rate", "48000", *arguments],
        env={**server.environment, "PYTHONPATH": ENGINE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_duplex_stream_plays(pulse: PulseServer, tmp_path: Path) -> None:
    out, err = live(pulse, tmp_path, "--seconds", "1.5", "--json").communicate(timeout=60)
    if "PortAudio" in err or "no audio" in err:
        pytest.skip(f"PortAudio does not see PulseAudio here: {err.strip()}")
    report = json.loads(out)
    assert report["blocks"] * report["block_frames"] >= 1.5 * 48_000
    assert report["device"]["output_latency_ms"] > 0


def test_a_lost_server_ends_in_words(pulse: PulseServer, tmp_path: Path) -> None:
    player = live(pulse, tmp_path, "--no-reconnect")
    time.sleep(4.0)
    if player.poll() is not None:
        pytest.skip(f"PortAudio does not play on PulseAudio here: {player.communicate()[1]}")
    pulse.kill()
    try:
        _, err = player.communicate(timeout=20)
    finally:
        player.kill()
    assert player.returncode == 2
    assert "is gone (unplugged, or its sound server ended)" in " ".join(err.split())
    assert "Traceback" not in err


HOLDER = """
import ctypes, json, sys, time
from bunraku.session.endpoints import DeviceEndpoint
from bunraku.session.live_session import LiveSession

hold_the_gil = ctypes.PyDLL(None).usleep
with LiveSession(sys.argv[1], source=DeviceEndpoint(), sink=DeviceEndpoint(),
                 block_frames=256, sample_rate_hz=48_000) as session:
    session.wait(2.0)
    before, begin = session.report().blocks, time.monotonic()
    hold_the_gil(500_000)
    after, end = session.report().blocks, time.monotonic()
print(json.dumps({"blocks": after - before, "due": (end - begin) * 48_000 / 256}))
"""


def python(
    server: PulseServer | JackServer, script: str, *arguments: object
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *(str(argument) for argument in arguments)],
        env={**server.environment, "PYTHONPATH": ENGINE, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_calls_while_the_gil_is_held(server: PulseServer | JackServer, folder: Path) -> None:
    """A Python callback would be called once at most. Far from the full count is a busy machine's
    doing; the figures are benchmarks/live_underflow.py's business."""
    out, err = python(server, HOLDER, folder / "gain.bnk").communicate(timeout=60)
    if "DeviceError" in err:
        pytest.skip(f"PortAudio does not play here: {err.strip().splitlines()[-1]}")
    counted = json.loads(out)
    assert counted["due"] > 90
    assert 0.25 * counted["due"] < counted["blocks"] < 1.25 * counted["due"]


def test_the_callback_is_called_while_a_c_call_holds_the_gil(
    pulse: PulseServer, tmp_path: Path
) -> None:
    check_calls_while_the_gil_is_held(pulse, tmp_path)


def test_the_callback_is_called_over_jack_too(jack: JackServer, tmp_path: Path) -> None:
    check_calls_while_the_gil_is_held(jack, tmp_path)


EFFECT_PLAYER = """
import json, sys
from bunraku.session.endpoints import DeviceEndpoint
from bunraku.session.live_session import LiveSession

shares = []
with LiveSession(sys.argv[1], source=DeviceEndpoint(), sink=DeviceEndpoint(),
                 block_frames=int(sys.argv[2]), sample_rate_hz=48_000,
                 python_effects=["noise_gate"]) as session:
    session.wait(1.0)
    for _ in range(8):
        before = session.report()
        session.wait(1.0)
        after = session.report()
        blocks = after.bridge.blocks - before.bridge.blocks
        due = 48_000 / after.block_frames
        if blocks > 0.8 * due and after.output_underflows == before.output_underflows:
            shares.append((after.bridge.missed - before.bridge.missed) / blocks)
            if shares[-1] <= 0.1:
                break
print(json.dumps({"shares": shares, "declared": after.declared.bridge_frames}))
"""


def check_an_effect_keeps_up(
    server: PulseServer | JackServer, folder: Path, block_frames: int, in_a_row: int
) -> None:
    """A bridge one block deep misses all but the first of each row. Seconds in which the sound
    server itself came late prove nothing."""
    player = python(server, EFFECT_PLAYER, folder / "gain.bnk", block_frames)
    out, err = player.communicate(timeout=60)
    if "DeviceError" in err:
        pytest.skip(f"PortAudio does not play here: {err.strip().splitlines()[-1]}")
    counted = json.loads(out)
    assert counted["declared"] == in_a_row * block_frames
    if not counted["shares"]:
        pytest.skip("the machine was too busy: underflows in each second")
    assert min(counted["shares"]) <= 0.1, counted["shares"]


def test_a_python_effect_keeps_up_with_calls_in_a_row(pulse: PulseServer, tmp_path: Path) -> None:
    check_an_effect_keeps_up(pulse, tmp_path, block_frames=256, in_a_row=2)


def test_a_python_effect_keeps_up_with_a_longer_jack_period(
    jack: JackServer, tmp_path: Path
) -> None:
    check_an_effect_keeps_up(jack, tmp_path, block_frames=64, in_a_row=4)


RECONNECTOR = """
import faulthandler, sys
from bunraku.session.endpoints import DeviceEndpoint
from bunraku.session.live_session import LiveSession

faulthandler.dump_traceback_later(60, exit=True)
with LiveSession(sys.argv[1], source=DeviceEndpoint(), sink=DeviceEndpoint(),
                 block_frames=256, sample_rate_hz=48_000, on_message=print) as session:
    def wait_for_blocks(count):
        wanted = session.report().blocks + count
        while session.report().blocks < wanted:
            session.wait(0.1)
    wait_for_blocks(50)
    print("playing")
    while not any("playing again" in text for text in session.report().messages):
        session.wait(0.1)
    wait_for_blocks(100)
print("sound is back, losses", session.report().device.losses)
"""


def test_the_session_comes_back_with_its_server(pulse: PulseServer, tmp_path: Path) -> None:
    player = python(pulse, RECONNECTOR, tmp_path / "gain.bnk")
    assert player.stdout is not None
    said = []
    try:
        for line in player.stdout:  # it ends by itself after a minute at the latest
            said.append(line.strip())
            if line.startswith("playing\n"):
                pulse.kill()
            elif "is gone" in line:
                pulse.start()
        _, err = player.communicate(timeout=20)
    finally:
        player.kill()
    if "DeviceError" in err and not said:
        pytest.skip(f"PortAudio does not play on PulseAudio here: {err.strip().splitlines()[-1]}")
    assert player.returncode == 0, err
    assert said[-1] == "sound is back, losses 1"
