"""The virtual microphone: a real sound server's, and the known cables elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bunraku.errors import DeviceError, UserInputError
from bunraku.io.audio_devices import AudioDevice
from bunraku.io.virtual_microphone import VirtualMicrophone, find_cable, run_pactl, server_device
from sound_server import PulseServer, missing_programs


def device(name: str, outs: int = 2) -> AudioDevice:
    return AudioDevice(0, name, "ALSA", 2, outs, 48_000.0, False, False)


PULSE = [device("HDA Intel"), device("pulse"), device("default")]


@pytest.fixture
def server() -> Iterator[PulseServer]:
    missing = missing_programs("pulseaudio", "pactl", "paplay", "parec")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        started = PulseServer(Path(folder))
        if not started.ready:
            started.kill()
            pytest.skip("pulseaudio does not start here")
        yield started
        started.kill()


def modules(server: PulseServer) -> list[str]:
    lines = run_pactl(["list", "short", "modules"], server.environment).splitlines()
    return [line for line in lines if "bunraku_voice_" in line]


@pytest.mark.device
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PulseAudio is Linux's")
def test_a_microphone_that_hears_what_is_played(server: PulseServer) -> None:
    before = os.environ.get("PULSE_SINK")
    microphone = VirtualMicrophone("my show", environment=server.environment)
    assert microphone.start(PULSE) == "pulse"
    assert microphone.start(PULSE) == "pulse"
    assert len(modules(server)) == 2
    sources = run_pactl(["list", "sources"], server.environment)
    assert "Description: my show microphone" in sources
    heard = listen(server, os.environ["PULSE_SINK"], f"bunraku_microphone_{os.getpid()}")
    assert np.abs(heard).max() > 0.3
    microphone.stop()
    microphone.stop()
    assert modules(server) == []
    assert os.environ.get("PULSE_SINK") == before


def listen(server: PulseServer, sink: str, source: str) -> np.ndarray:
    """What the source hears while a tone is played to whatever PULSE_SINK names."""
    environment = {**server.environment, "PULSE_SINK": sink}
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000 * 10) / 48_000)
    raw = ["--raw", "--format=float32le", "--rate=48000", "--channels=1"]
    with tempfile.NamedTemporaryFile() as file:
        file.write(tone.astype(np.float32).tobytes())
        file.flush()
        player = subprocess.Popen(["paplay", *raw, file.name], env=environment)
        recorder = subprocess.Popen(
            ["parec", *raw, f"--device={source}"], env=environment, stdout=subprocess.PIPE
        )
        assert recorder.stdout is not None
        data = recorder.stdout.read(48_000 * 4)  # one second
        for process in (player, recorder):
            process.kill()
            process.wait()
        recorder.stdout.close()
    return np.frombuffer(data, np.float32)[24_000:]


@pytest.mark.device
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PulseAudio is Linux's")
def test_leftovers_of_a_killed_process_are_removed(server: PulseServer) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    old = f"bunraku_voice_{ended.pid}"
    run_pactl(["load-module", "module-null-sink", f"sink_name={old}"], server.environment)
    run_pactl(
        ["load-module", "module-remap-source", f"master={old}.monitor", "source_name=x"],
        server.environment,
    )
    microphone = VirtualMicrophone(environment=server.environment)
    microphone.start(PULSE)
    assert not any(old in line for line in modules(server))
    server.kill()
    microphone.stop()  # the server is gone, and with it the modules


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PulseAudio is Linux's")
def test_without_a_server(tmp_path: Path) -> None:
    if missing_programs("pactl"):
        pytest.skip("not installed: pactl")
    environment = {**os.environ, "PULSE_SERVER": f"unix:{tmp_path}/none", "HOME": str(tmp_path)}
    with pytest.raises(DeviceError, match=r"is PulseAudio or PipeWire .* running"):
        VirtualMicrophone(environment=environment).start(PULSE)
    with pytest.raises(DeviceError, match="needs 'pactl': install it"):
        run_pactl(["info"], {"PATH": str(tmp_path)})
    assert "bunraku_voice" not in os.environ.get("PULSE_SINK", "")


def test_the_server_among_the_devices() -> None:
    assert server_device(PULSE) == "pulse"
    assert server_device([device("pipewire")]) == "pipewire"
    with pytest.raises(DeviceError, match="libasound2-plugins"):
        server_device([device("HDA Intel"), device("pulse", outs=0)])


def test_a_known_cable_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    cable = "CABLE Input (VB-Audio Virtual Cable)"
    microphone = VirtualMicrophone()
    assert microphone.start([device("Speakers"), device(cable)]) == cable
    microphone.stop()
    assert find_cable([device("BlackHole 2ch")]) == "BlackHole 2ch"
    with pytest.raises(DeviceError, match="install VB-CABLE on Windows or BlackHole on macOS"):
        find_cable([device("Speakers"), device("CABLE Input", outs=0)])


@pytest.mark.parametrize("name", ["", "a" * 61, "x'; rm", 'say "hi"', "a\nb"])
def test_a_name_that_could_be_more_than_a_name(name: str) -> None:
    with pytest.raises(UserInputError, match="the microphone's name is"):
        VirtualMicrophone(name)


@pytest.mark.device
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PulseAudio is Linux's")
def test_a_session_plays_into_the_microphone(server: PulseServer, tmp_path: Path) -> None:
    """In a process of its own: PortAudio looks for its devices once."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("sounddevice", exc_type=OSError)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000 * 20) / 48_000)
    soundfile.write(tmp_path / "tone.wav", tone, 48_000)
    code = (
        "import sys\n"
        "from bunraku.io.virtual_microphone import VirtualMicrophone\n"
        "from bunraku.session.endpoints import DeviceEndpoint, FileEndpoint\n"
        "from bunraku.session.live_session import LiveSession\n"
        "with VirtualMicrophone() as microphone:\n"
        "    tone, device = FileEndpoint(sys.argv[1]), DeviceEndpoint(microphone.output_device)\n"
        "    with LiveSession('radio', source=tone, sink=device):\n"
        "        print('plays', flush=True)\n"
        "        sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "tone.wav")],
        env={**server.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"plays\n"
    recorder = subprocess.Popen(
        [
            *("parec", "--raw", "--format=float32le", "--rate=48000", "--channels=1"),
            f"--device=bunraku_microphone_{process.pid}",
        ],
        env=server.environment,
        stdout=subprocess.PIPE,
    )
    assert recorder.stdout is not None
    heard = np.frombuffer(recorder.stdout.read(4 * 96_000), np.float32)[-48_000:]
    recorder.kill()
    recorder.communicate()
    process.communicate(b"\n", timeout=20)
    assert process.returncode == 0
    assert modules(server) == []
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert abs(int(spectrum.argmax()) - 440) <= 2
    assert np.abs(heard).max() > 0.01
