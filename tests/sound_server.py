"""A PulseAudio of our own with null sinks, for tests on real PortAudio streams without hardware."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path


class PulseServer:
    """Runs in `folder` with a null sink of `rate_hz`; its monitor is the microphone."""

    def __init__(self, folder: Path, rate_hz: int = 48_000) -> None:
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        socket = folder / "pulse.socket"
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "HOME": str(folder),
            "PULSE_SERVER": f"unix:{socket}",
        }
        modules = (
            f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
            f"module-null-sink sink_name=bunraku rate={rate_hz} norewinds=1",
        )
        (folder / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\npcm.pulse { type pulse }\n"
        )
        command = ["pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no"]
        for module in modules:
            command += ["-L", module]
        self._process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while not socket.exists() and self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        self.ready = socket.exists()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def missing_programs() -> list[str]:
    return [name for name in ("pulseaudio",) if shutil.which(name) is None]
