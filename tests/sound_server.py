"""Sound servers of our own, for real PortAudio streams without hardware."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path


class PulseServer:
    """Runs in `folder` with a null sink of `rate_hz`; its monitor is the microphone.

    realtime: all its threads, not only the sink's, get real-time priority; needs the right to it.
    """

    def __init__(self, folder: Path, rate_hz: int = 48_000, *, realtime: bool = False) -> None:
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
        self._command = ["chrt", "-f", "4"] if realtime else []
        self._command += [
            "pulseaudio",
            "-n",
            "--exit-idle-time=-1",
            "--daemonize=no",
            "--use-pid-file=no",
        ]
        for module in modules:
            self._command += ["-L", module]
        self._socket = socket
        self.start()

    def start(self) -> None:
        """Also again, after `kill`."""
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while not self._socket.exists() and self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        self.ready = self._socket.exists()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class JackServer:
    """Runs jackd with its dummy driver under a name of its own; PortAudio sees it as 'system'.

    jackd asks for real-time priority and goes on without where it may not have it.
    """

    def __init__(self, folder: Path, rate_hz: int = 48_000, block_frames: int = 256) -> None:
        self._name = f"bunraku-{os.getpid()}-{folder.name}"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "JACK_DEFAULT_SERVER": self._name,
            "JACK_NO_START_SERVER": "1",
        }
        driver = ["-d", "dummy", "-r", str(rate_hz), "-p", str(block_frames)]
        self._process = subprocess.Popen(
            ["jackd", "-R", "-n", self._name, *driver],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        waited = subprocess.run(
            ["jack_wait", "-s", self._name, "-w", "-t", "10"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        self.ready = waited.returncode == 0 and self._process.poll() is None

    def kill(self) -> None:
        self._process.terminate()  # it then removes what it keeps in shared memory
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def missing_programs(*names: str) -> list[str]:
    return [name for name in names or ("pulseaudio",) if shutil.which(name) is None]
