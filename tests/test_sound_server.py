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
from sound_server import PulseServer, missing_programs

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
