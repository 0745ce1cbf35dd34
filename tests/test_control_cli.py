"""`bunraku live PRESET` with fingers on the keys and OSC from outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'bunraku[video]'")
pytest.importorskip("pythonosc", reason="python-osc is not installed: 'bunraku[control]'")
if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import pty

from control_presets import write_presets

ENGINE = Path(__file__).parent.parent / "engine"
WAIT_S = 60.0


def test_keys_and_osc_move_a_live_preset(tmp_path: Path) -> None:
    path = write_presets(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path.write_text(f"{path.read_text()}\n[control.osc]\nport = {port}\n")
    keyboard, terminal = pty.openpty()
    said = tmp_path / "said.txt"
    with said.open("w") as errors:
        command = subprocess.Popen(
            [sys.executable, "-m", "bunraku.cli.main", "live", str(path), "--json"],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ENGINE)},
            cwd=tmp_path,
            start_new_session=True,
            text=True,
        )

    def wait_for(text: str) -> None:
        end = time.monotonic() + WAIT_S
        while text not in said.read_text():
            assert command.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.02)

    try:
        wait_for(f"OSC at UDP port {port}")
        time.sleep(0.3)  # the keys are listened to after the ports
        os.write(keyboard, b"2")
        wait_for("preset: quiet")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"/mute\0\0\0", ("127.0.0.1", port))
        wait_for("muted")
        os.write(keyboard, b"q")
        out, _ = command.communicate(timeout=WAIT_S)
    finally:
        command.kill()
        os.close(keyboard)
        os.close(terminal)
    assert command.returncode == 0, said.read_text()
    report = json.loads(out)
    assert report["voice"]["model"] == "quiet.chain"
    assert report["picture"]["effects"][0]["name"] == "colour_look"
