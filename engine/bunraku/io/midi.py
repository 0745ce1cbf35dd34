"""Receives notes and control changes from a MIDI device, which may come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bunraku.errors import DeviceError
from bunraku.packages import package

LOOK_EVERY_S = 1.0
JOIN_TIMEOUT_S = 2.0
MOST_NAMES_SHOWN = 8
BACKEND = "mido.backends.rtmidi"


@dataclass(frozen=True)
class MidiNoteOn:
    """channel: 1 to 16; note and velocity: 0 to 127, velocity above 0."""

    channel: int
    note: int
    velocity: int


@dataclass(frozen=True)
class MidiControlChange:
    """channel: 1 to 16; control and value: 0 to 127."""

    channel: int
    control: int
    value: int


MidiEvent = MidiNoteOn | MidiControlChange


class MidiInput:
    """Calls `on_event` with what the device sends whose name contains `port`, from a thread of the
    MIDI system. A device that is not there, or is unplugged, is waited for.

    backend: what mido calls one; python-rtmidi's if None. Raises MissingDependencyError.
    """

    def __init__(
        self,
        port: str,
        on_event: Callable[[MidiEvent], object],
        on_message: Callable[[str], object] = lambda text: None,
        backend: Any = None,
    ) -> None:
        self._wanted = port
        self._on_event = on_event
        self._say = on_message
        self._backend = backend if backend is not None else rtmidi_backend()
        self._port: Any = None
        self._name = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        return self._port is not None

    def start(self) -> None:
        """Raises DeviceError where this machine has no MIDI at all."""
        names = input_names(self._backend)
        if self._match(names) is None:
            shown = ", ".join(names[:MOST_NAMES_SHOWN]) or "none"
            self._say(f"no MIDI input is named '{self._wanted}' (there: {shown}); it is waited for")
        self._look(names)
        self._thread = threading.Thread(target=self._run, name="bunraku-midi", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT_S)
        self._close()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                names = input_names(self._backend)
            except DeviceError:
                names = []  # the MIDI service went; it may come back
            self._look(names)

    def _look(self, names: list[str]) -> None:
        """Open the device if it has come, close it if it has gone."""
        if self._port is not None and self._name not in names:
            self._close()
            self._say(f"the MIDI input '{self._name}' was unplugged; it is waited for")
        name = self._match(names)
        if self._port is not None or name is None:
            return
        try:
            self._port = self._backend.Input(name, callback=self._received)
        except (OSError, RuntimeError, ValueError):
            return  # gone again, or still held by another program: the next look tries anew
        self._name = name
        self._say(f"MIDI from '{name}'")

    def _match(self, names: list[str]) -> str | None:
        wanted = self._wanted.casefold()
        return next((name for name in names if wanted in name.casefold()), None)

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is None:
            return
        try:
            port.close()
        except (OSError, RuntimeError):
            return  # the device took the port with it

    def _received(self, message: Any) -> None:
        event = event_of(message)
        if event is not None and not self._stopping.is_set():
            self._on_event(event)


def event_of(message: Any) -> MidiEvent | None:
    """What is of use in a mido message."""
    if message.type == "note_on" and message.velocity > 0:
        return MidiNoteOn(message.channel + 1, message.note, message.velocity)
    if message.type == "control_change":
        return MidiControlChange(message.channel + 1, message.control, message.value)
    return None


def rtmidi_backend() -> Any:
    """Raises MissingDependencyError."""
    package("rtmidi", "python-rtmidi", "MIDI", "control")
    return package(BACKEND, "mido", "MIDI", "control")


def input_names(backend: Any) -> list[str]:
    """Names of the MIDI inputs. Raises DeviceError where this machine has no MIDI."""
    try:
        return [str(one["name"]) for one in backend.get_devices() if one["is_input"]]
    except Exception as error:  # python-rtmidi's own errors have no common base but this
        reason = " ".join(str(error).split())
        raise DeviceError(
            f"this machine has no MIDI ({reason}): connect a device and, on Linux, load snd-seq;"
            " or leave out [control.midi]"
        ) from error
