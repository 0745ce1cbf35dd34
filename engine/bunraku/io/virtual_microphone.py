"""A microphone that other programs can choose, and the device that the session plays to for it.

On Linux PulseAudio, or PipeWire in its place, gets a sink that is heard nowhere and a source that
listens to it. Windows and macOS have no such thing built in: there a known cable is looked for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from bunraku.errors import DeviceError, UserInputError
from bunraku.io.audio_devices import AudioDevice, list_devices

Run = Callable[[list[str]], str]

NAME = re.compile(r"^[\w .-]{1,60}$", re.ASCII)
CABLES = ("CABLE Input", "BlackHole", "VoiceMeeter Input", "Loopback Audio")
SERVER_DEVICES = ("pulse", "pipewire", "default")
ROUTES = ("PULSE_SINK", "PIPEWIRE_NODE")
RATE_HZ = 48_000
TIMEOUT_S = 5.0
OURS = re.compile(r"sink_name=(bunraku_voice_(\d+))\b")


class VirtualMicrophone:
    """name: what other programs see, with " microphone" after it. environment: for pactl; ours if
    None.

    From `start` to `stop` this process's PulseAudio streams go to the new sink: PortAudio reaches
    the server through one device and cannot name a sink, so the environment variables that the
    server's client library reads do. Open the stream after `start`.
    """

    def __init__(
        self, name: str = "bunraku", *, environment: Mapping[str, str] | None = None
    ) -> None:
        if not NAME.match(name):
            raise UserInputError(
                f"the microphone's name is '{name}': use 1 to 60 letters, digits, spaces, '.', '-'"
            )
        self.name = f"{name} microphone"
        self.output_device = ""
        self._environment = environment
        self._modules: list[str] = []
        self._routes_before: dict[str, str | None] = {}

    def start(self, devices: Sequence[AudioDevice] | None = None) -> str:
        """The name to which the session should play: `DeviceEndpoint(name)`.

        devices: among which to choose; those of PortAudio if None. Raises DeviceError.
        """
        if self.output_device:
            return self.output_device
        if not sys.platform.startswith("linux"):
            self.output_device = find_cable(list_devices() if devices is None else devices)
            return self.output_device
        known = list_devices() if devices is None else devices
        device = server_device(known)
        sink = f"bunraku_voice_{os.getpid()}"
        try:
            self._unload_leftovers()
            self._load(
                "module-null-sink",
                f"sink_name={sink}",
                f"rate={RATE_HZ}",
                described("sink", f"{self.name} in"),
            )
            self._load(
                "module-remap-source",
                f"master={sink}.monitor",
                f"source_name=bunraku_microphone_{os.getpid()}",
                described("source", self.name),
            )
        except DeviceError:
            self._unload()
            raise
        for variable in ROUTES:
            self._routes_before[variable] = os.environ.get(variable)
            os.environ[variable] = sink
        self.output_device = device
        return device

    def stop(self) -> None:
        """The microphone goes; streams opened later play where they did before. Idempotent."""
        for variable, before in self._routes_before.items():
            if before is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = before
        self._routes_before = {}
        self._unload()
        self.output_device = ""

    def __enter__(self) -> VirtualMicrophone:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _load(self, module: str, *arguments: str) -> None:
        self._modules.append(self._pactl("load-module", module, *arguments).strip())

    def _unload(self) -> None:
        while self._modules:
            self._try_to_unload(self._modules.pop())

    def _try_to_unload(self, module: str) -> None:
        try:
            self._pactl("unload-module", module)
        except DeviceError:
            return  # the server ended, and the module with it

    def _unload_leftovers(self) -> None:
        """What a process that was killed left behind."""
        gone = set()
        lines = self._pactl("list", "short", "modules").splitlines()
        for line in lines:
            ours = OURS.search(line)
            if ours and not process_lives(int(ours.group(2))):
                gone.add(ours.group(1))
        for line in reversed(lines):  # the source before the sink that it listens to
            module = line.split("\t")[0]
            if module.isdigit() and any(re.search(rf"={sink}\b", line) for sink in gone):
                self._try_to_unload(module)

    def _pactl(self, *arguments: str) -> str:
        return run_pactl(list(arguments), self._environment)


def described(kind: str, text: str) -> str:
    """The module argument that gives a sink or source the name people see."""
    return f"{kind}_properties='device.description=\"{text}\"'"


def run_pactl(arguments: list[str], environment: Mapping[str, str] | None) -> str:
    """pactl's output. Raises DeviceError with its words."""
    try:
        done = subprocess.run(
            ["pactl", *arguments],
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise DeviceError(
            "a virtual microphone needs 'pactl': install it (Debian: apt-get install"
            " pulseaudio-utils)"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(
            f"the sound server did not answer pactl in {TIMEOUT_S:.0f} s; restart it"
        ) from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"code {done.returncode}"
        raise DeviceError(
            f"the sound server refused 'pactl {' '.join(arguments[:2])}' ({said});"
            " is PulseAudio or PipeWire (pipewire-pulse) running?"
        )
    return done.stdout


def server_device(devices: Sequence[AudioDevice]) -> str:
    """PortAudio's device that is the sound server. Raises DeviceError."""
    names = [d.name for d in devices if d.output_channels > 0]
    for wanted in SERVER_DEVICES:
        if wanted in names:
            return wanted
    raise DeviceError(
        "PortAudio does not reach the sound server: install its ALSA plugin (Debian: apt-get"
        " install libasound2-plugins, or pipewire-alsa)"
    )


def find_cable(devices: Sequence[AudioDevice]) -> str:
    """The name of a known virtual cable. Raises DeviceError that tells where to get one."""
    for cable in CABLES:
        for device in devices:
            if device.output_channels > 0 and cable.lower() in device.name.lower():
                return device.name
    raise DeviceError(
        f"no virtual cable is installed (looked for {', '.join(CABLES)}): install VB-CABLE on"
        " Windows or BlackHole on macOS, and choose it as microphone in the other program"
    )


def process_lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
