"""OSC, MIDI and keys of the terminal: what they send arrives as typed events, whatever is damaged
is counted, and the desk does what the preset says."""

from __future__ import annotations

import os
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from bunraku.errors import BunrakuError, DeviceError, MissingDependencyError, UserInputError
from bunraku.formats.control_action import (
    Action,
    ChoosePreset,
    Mute,
    Record,
    SetValue,
    Slide,
    StepPreset,
    SwitchEffect,
    Target,
)
from bunraku.io.midi import MidiControlChange, MidiInput, MidiNoteOn
from bunraku.io.osc_datagram import OscEvent
from bunraku.streaming.rate_limit import RateLimit

WAIT_S = 10.0


def wait_for(true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)


# ---- OSC -----------------------------------------------------------------------------------------


def osc(address: str, tags: str = ",", values: bytes = b"") -> bytes:
    def text(value: str) -> bytes:
        data = value.encode() + b"\0"
        return data + b"\0" * (-len(data) % 4)

    return text(address) + text(tags) + values


def bundle(*elements: bytes) -> bytes:
    sized = b"".join(struct.pack(">i", len(element)) + element for element in elements)
    return b"#bundle\0" + b"\0" * 7 + b"\1" + sized


@pytest.fixture
def decode() -> Callable[[bytes], list[OscEvent]]:
    pytest.importorskip(
        "pythonosc", reason="python-osc is not installed: pip install 'bunraku[control]'"
    )
    from bunraku.io.osc_datagram import OscDecoder

    return OscDecoder().events


def test_osc_messages_of_every_type(decode: Callable[[bytes], list[OscEvent]]) -> None:
    values = struct.pack(">ifqd", 7, 0.5, 1 << 40, 0.25) + b"golden\0\0"
    datagram = osc("/set/look/strength", ",ifhdsTF", values)
    assert decode(datagram) == [
        OscEvent("/set/look/strength", (7, 0.5, 1 << 40, 0.25, "golden", True, False))
    ]
    assert decode(osc("/mute")) == [OscEvent("/mute", ())]
    assert decode(b"/mute\0\0\0") == [OscEvent("/mute", ())]
    nested = bundle(osc("/a"), bundle(osc("/b", ",i", struct.pack(">i", 1))))
    assert decode(nested) == [OscEvent("/a", ()), OscEvent("/b", (1,))]


def test_osc_of_another_program_is_understood(decode: Callable[[bytes], list[OscEvent]]) -> None:
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder("/preset")
    builder.add_arg("puppet")
    assert decode(builder.build().dgram) == [OscEvent("/preset", ("puppet",))]


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"/",
        b"preset\0\0",
        b"/preset",
        osc("/a*"),
        osc("/" + "a" * 161),
        osc("/a", "i", b"\0\0\0\1"),
        osc("/a", ",i", b"\0\0"),
        osc("/a", ",i", b"\0" * 8),
        osc("/a", ",b", b"\0\0\0\4abcd"),
        osc("/a", ",[i]", b"\0\0\0\1"),
        osc("/a", ",Q"),
        osc("/a", ",f", struct.pack(">f", float("nan"))),
        osc("/a", ",d", struct.pack(">d", float("inf"))),
        osc("/a", ",s", b"\xff\xfe\xfd\0"),
        osc("/a", ",TTTTTTTTT"),
        bundle(osc("/a")) + b"\0\0\0\4",
        bundle(bundle(bundle(bundle(osc("/a"))))),
        bundle(*[osc("/a")] * 33),
        b"#bundle\0" + b"\0" * 8 + struct.pack(">i", -4),
        b"#bundle\0" + b"\0" * 8 + b"\0",
        osc("/a", ",s", b"x" * 2048 + b"\0\0\0\0"),
    ],
)
def test_damaged_osc_is_refused(decode: Callable[[bytes], list[OscEvent]], datagram: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(datagram)


def test_random_osc_never_does_anything_else(decode: Callable[[bytes], list[OscEvent]]) -> None:
    """Mutations of a good bundle: decoded or ValueError."""
    rng = random.Random(4)
    good = bundle(osc("/set/look/strength", ",f", struct.pack(">f", 0.5)), osc("/mute"))
    refused = 0
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.randint(0, len(data))]
        try:
            decode(bytes(data))
        except ValueError:
            refused += 1
    assert refused > 1000


def test_the_osc_server_counts_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed")
    monkeypatch.setattr("bunraku.io.osc.MOST_PER_S", 0.0)
    monkeypatch.setattr("bunraku.io.osc.BURST", 5)
    from bunraku.io.osc import OscServer

    events: list[OscEvent] = []
    server = OscServer(0, events.append)
    server.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for datagram in [osc("/mute"), b"nonsense", b"", b"\xff" * 4000] + [osc("/mute")] * 3:
                sender.sendto(datagram, ("127.0.0.1", server.port))
        wait_for(lambda: server.figures().over_rate == 2)
        assert server.figures().malformed == 3
        assert events == [OscEvent("/mute", ())] * 2
        with pytest.raises(UserInputError, match=f"OSC port {server.port} cannot be opened"):
            OscServer(server.port, events.append).start()
    finally:
        server.stop()
    again = OscServer(server.port, events.append)
    again.start()  # the port is free
    again.stop()


def test_osc_from_strangers_is_not_heard() -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed")
    from bunraku.io.osc import OscServer

    events: list[OscEvent] = []
    server = OscServer(9000, events.append, ["192.168.1.20"])
    for sender in ("192.168.1.20", "127.0.0.1", "192.168.1.21", "8.8.8.8"):
        server._take(osc("/mute"), sender)
    assert len(events) == 2
    assert server.figures().strangers == 2


def test_without_python_osc_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythonosc.parsing.osc_types", None)
    from bunraku.io.osc_datagram import OscDecoder

    with pytest.raises(MissingDependencyError, match=r"pip install 'bunraku\[control\]'"):
        OscDecoder()


def test_a_rate_limit_refills() -> None:
    limit = RateLimit(10.0, 2)
    assert [limit.allows(0) for _ in range(3)] == [True, True, False]
    assert [limit.allows(100_000_000) for _ in range(2)] == [True, False]


# ---- what OSC means ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "values", "action"),
    [
        ("/preset", ("puppet",), ChoosePreset("puppet")),
        ("/preset", (2.0,), ChoosePreset("2")),
        ("/preset/puppet", (1.0,), ChoosePreset("puppet")),
        ("/preset/puppet", (0.0,), None),
        ("/preset/next", (), StepPreset(1)),
        ("/preset/previous", (1,), StepPreset(-1)),
        ("/set/anonymise_2/cells", (5,), SetValue(Target("anonymise_2", "cells"), 5)),
        ("/voice/0.gain_db", (-6.0,), SetValue(Target("voice", "0.gain_db"), -6.0)),
        ("/voice/0/gain_db", (-6.0,), SetValue(Target("voice", "0.gain_db"), -6.0)),
        ("/voice/0/1/wet", (0.5,), SetValue(Target("voice", "0.1.wet"), 0.5)),
        ("/slide/voice/0/gain_db", (2.0,), Slide(Target("voice", "0.gain_db"), 1.0)),
        ("/slide/look/strength", (2.0,), Slide(Target("look", "strength"), 1.0)),
        ("/effect/look", (), SwitchEffect("look", "toggle")),
        ("/effect/look", (0,), SwitchEffect("look", "off")),
        ("/mute", (True,), Mute("on")),
        ("/record", (0.0,), Record("off")),
    ],
)
def test_what_osc_means(address: str, values: tuple[Any, ...], action: Action | None) -> None:
    pytest.importorskip("pydantic", reason="pydantic is not installed")
    from bunraku.session.control.mapping import action_of_osc

    assert action_of_osc(OscEvent(address, values)) == action


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("/", ()),
        ("/quit", ()),
        ("/preset", ()),
        ("/preset", ("../x",)),
        ("/preset", (True,)),
        ("/set/look/strength", ()),
        ("/set/look", (1.0,)),
        ("/voice/gain", ("loud",)),
        (f"/voice/{'x' * 40}/{'y' * 40}", (1.0,)),
        ("/mute", ("on",)),
        ("/mute", (1, 2)),
        ("//mute//x", ()),
    ],
)
def test_osc_that_means_nothing(address: str, values: tuple[Any, ...]) -> None:
    from bunraku.session.control.mapping import action_of_osc

    with pytest.raises(UserInputError):
        action_of_osc(OscEvent(address, values))


# ---- MIDI ----------------------------------------------------------------------------------------


class FakePorts:
    """A MIDI system as mido's backends look, with devices that come and go."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.opened: list[Any] = []
        self.broken = False

    def get_devices(self) -> list[dict[str, Any]]:
        if self.broken:
            raise SystemError("no sequencer")
        return [{"name": name, "is_input": True} for name in self.names]

    def Input(self, name: str, callback: Callable[[Any], None]) -> Any:
        port = SimpleNamespace(name=name, send=callback, closed=False)
        port.close = lambda: setattr(port, "closed", True)
        self.opened.append(port)
        return port


def message(kind: str, **fields: int) -> Any:
    return SimpleNamespace(type=kind, **fields)


def test_midi_comes_goes_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bunraku.io.midi.LOOK_EVERY_S", 0.01)
    ports, events, said = FakePorts("Through"), [], []
    midi = MidiInput("nanokontrol", events.append, said.append, ports)
    midi.start()
    try:
        assert said == ["no MIDI input is named 'nanokontrol' (there: Through); it is waited for"]
        ports.names.append("nanoKONTROL2 20:0")
        wait_for(lambda: midi.connected)
        send = ports.opened[0].send
        send(message("note_on", channel=0, note=36, velocity=100))
        send(message("note_on", channel=0, note=36, velocity=0))
        send(message("control_change", channel=9, control=21, value=64))
        send(message("sysex", data=(1, 2)))
        assert events == [MidiNoteOn(1, 36, 100), MidiControlChange(10, 21, 64)]
        ports.broken = True
        wait_for(lambda: not midi.connected)
        assert ports.opened[0].closed
        assert "was unplugged" in said[-1]
        ports.broken = False
        wait_for(lambda: len(ports.opened) == 2)
    finally:
        midi.stop()
    assert ports.opened[1].closed


def test_a_machine_without_midi_says_so() -> None:
    ports = FakePorts()
    ports.broken = True
    with pytest.raises(DeviceError, match="this machine has no MIDI") as caught:
        MidiInput("x", lambda event: None, backend=ports).start()
    assert "leave out" in str(caught.value)


def test_midi_of_this_machine() -> None:
    """The real package: either it lists ports, or the error is ours."""
    pytest.importorskip("rtmidi", reason="python-rtmidi is not installed")
    pytest.importorskip("mido", reason="mido is not installed")
    from bunraku.io.midi import input_names, rtmidi_backend

    try:
        assert isinstance(input_names(rtmidi_backend()), list)
    except DeviceError as error:
        pytest.skip(str(error))


# ---- keys ----------------------------------------------------------------------------------------


def test_keys_in_what_a_terminal_sends() -> None:
    from bunraku.io.hotkeys import keys_in

    text = "1m \x1b[C\x1b[D\x1bOA\x1b[3~\x1b[1;5Cé\t\x03\x1b"
    assert list(keys_in(text)) == ["1", "m", "space", "right", "left", "up", "é"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_keys_of_a_terminal_and_the_terminal_afterwards() -> None:
    import pty
    import termios

    from bunraku.io.hotkeys import Hotkeys

    keyboard, terminal = pty.openpty()
    pressed: list[str] = []
    before = termios.tcgetattr(terminal)
    try:
        with Hotkeys(pressed.append, terminal):
            assert not termios.tcgetattr(terminal)[3] & termios.ICANON
            assert termios.tcgetattr(terminal)[3] & termios.ISIG, "Ctrl-C works as ever"
            os.write(keyboard, b"m\x1b[C")
            wait_for(lambda: len(pressed) == 2)
            os.write(keyboard, b"pasted text is not a performer" * 3)
            time.sleep(0.05)
            os.write(keyboard, b"q")
            wait_for(lambda: "q" in pressed or pressed[2:])
        assert pressed[:2] == ["m", "right"]
        assert "p" not in pressed
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert "bunraku-hotkeys" not in [thread.name for thread in threading.enumerate()]


def test_no_terminal_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    from bunraku.io.hotkeys import terminal_keys_at_hand

    monkeypatch.setattr("sys.stdin", None)
    assert not terminal_keys_at_hand()
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert not terminal_keys_at_hand()
    assert not terminal_keys_at_hand(), "it is closed by now"


# ---- the whole way -------------------------------------------------------------------------------


class FakeDesk:
    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.said: list[str] = []
        self.say = self.said.append

    def submit(self, action: Action) -> bool:
        self.actions.append(action)
        return True


def control_of(text: str) -> Any:
    pytest.importorskip("pydantic", reason="pydantic is not installed")
    from bunraku.formats.performance import parse_performance

    return parse_performance(f"[voice]\n{text}".encode()).control


def test_midi_by_the_presets_mapping() -> None:
    from bunraku.session.control.mapping import action_of_midi

    midi = control_of(
        '[control.midi]\nport = "pad"\n'
        'note = [{ note = 36, channel = 10, action = "preset puppet" },'
        ' { note = 36, action = "mute toggle" }]\n'
        'knob = [{ control = 21, target = "background_blur.strength" }]'
    ).midi
    assert action_of_midi(midi, MidiNoteOn(10, 36, 1)) == ChoosePreset("puppet")
    assert action_of_midi(midi, MidiNoteOn(1, 36, 1)) == Mute("toggle")
    assert action_of_midi(midi, MidiNoteOn(1, 37, 1)) is None
    target = Target("background_blur", "strength")
    assert action_of_midi(midi, MidiControlChange(3, 21, 127)) == Slide(target, 1.0)
    assert action_of_midi(midi, MidiControlChange(3, 22, 127)) is None


def test_hotkeys_of_a_preset() -> None:
    from bunraku.session.control.mapping import hotkeys_of

    keys = hotkeys_of(control_of('[control]\nhotkeys = { m = "record toggle", b = "mute on" }'))
    assert keys["m"] == Record("toggle")
    assert keys["b"] == Mute("on")
    assert keys["9"] == ChoosePreset("9")
    bare = control_of('[control]\ndefault_hotkeys = false\nhotkeys = { space = "mute toggle" }')
    assert hotkeys_of(bare) == {"space": Mute("toggle")}


def test_osc_reaches_the_desk_and_the_port_is_given_back() -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed")
    from bunraku.session.control.inputs import control_inputs

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    desk: Any = FakeDesk()
    control = control_of(f"[control.osc]\nport = {port}")
    with (
        control_inputs(desk, control, hotkeys=False),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        assert desk.said == [f"OSC at UDP port {port}"]
        sender.sendto(osc("/nothing"), ("127.0.0.1", port))
        sender.sendto(osc("/mute"), ("127.0.0.1", port))
        wait_for(lambda: desk.actions)
    assert desk.actions == [Mute("toggle")]
    assert "OSC address /nothing is unknown" in desk.said[1]
    assert "bunraku-osc" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[control]\nhotkeys = { mm = 'mute on' }", "control.hotkeys"),
        ("[control]\nhotkeys = { m = 'dance' }", "the action 'dance' is unknown"),
        ("[control.osc]\nport = 80", "use 1024 to 65535"),
        ("[control.osc]\nsenders = ['8.8.8.8']", "your own network"),
        ("[control.osc]\nsenders = ['0.0.0.0']", "your own network"),
        ("[control.osc]\nsenders = ['localhost']", "control.osc.senders"),
        ("[control.osc]\nhost = '0.0.0.0'", 'control.osc has no key "host"'),
        ("[control.midi]\nport = ''", "control.midi.port"),
        ("[control.midi]\nport = 'a'\nknob = [{ control = 128, target = 'a.b' }]", "control"),
        ("[control.midi]\nport = 'a'\nknob = [{ control = 1, target = 'abc' }]", "no setting"),
        ("[control.midi]\nport = 'a'\nnote = [{ note = 1, action = 'mute' }]", "is unknown"),
        ("[control]\ngamepad = 1", 'control has no key "gamepad"'),
    ],
)
def test_a_wrong_control_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(BunrakuError, match=message):
        control_of(text)
