"""Opens the controllers that a preset names, and lets them move the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku import presets
from bunraku.errors import UserInputError
from bunraku.io.hotkeys import Hotkeys, terminal_keys_at_hand
from bunraku.io.midi import MidiEvent, MidiInput
from bunraku.io.osc import OscServer
from bunraku.io.osc_datagram import OscEvent
from bunraku.session.control.desk import ControlDesk
from bunraku.session.control.mapping import action_of_midi, action_of_osc, hotkeys_of
from bunraku.session.performance import Performance

if TYPE_CHECKING:
    from bunraku.formats.control_shape import Control
    from bunraku.formats.performance_shape import PerformancePreset


@contextmanager
def control_inputs(desk: ControlDesk, control: Control, *, hotkeys: bool = True) -> Iterator[None]:
    """Within the `with` the controllers of `control` move `desk`. hotkeys: listen to the terminal
    too, if there is one. Raises BunrakuError: a package is missing, the OSC port is taken, or this
    machine has no MIDI."""
    with ExitStack() as closing:
        if control.osc is not None:
            server = OscServer(
                control.osc.port, lambda event: take_osc(desk, event), control.osc.senders
            )
            closing.callback(server.stop)
            server.start()
            desk.say(f"OSC at UDP port {server.port}")
        if control.midi is not None:
            mapped = control.midi

            def take_midi(event: MidiEvent) -> None:
                action = action_of_midi(mapped, event)
                if action is not None:
                    desk.submit(action)

            midi = MidiInput(mapped.port, take_midi, desk.say)
            closing.callback(midi.stop)
            midi.start()
        if hotkeys and terminal_keys_at_hand():
            closing.enter_context(open_hotkeys(desk, control))
        yield


@contextmanager
def open_desk(
    performance: Performance,
    preset: PerformancePreset,
    path: Path | None,
    *,
    on_message: Callable[[str], object],
    recordings: Path = Path(),
    hotkeys: bool = True,
) -> Iterator[ControlDesk]:
    """A desk with the preset's controllers, for a performance that has started: its presets are
    those of the folder in which `path` lies. Raises what `control_inputs` raises."""
    beside = presets.beside(path) if path is not None else {}
    desk = ControlDesk(
        performance,
        beside,
        preset=preset,
        path=path,
        recordings=recordings,
        on_message=on_message,
    )
    with desk, control_inputs(desk, preset.control, hotkeys=hotkeys):
        yield desk


def take_osc(desk: ControlDesk, event: OscEvent) -> None:
    try:
        action = action_of_osc(event)
    except UserInputError as error:
        desk.say(str(error))
        return
    if action is not None:
        desk.submit(action)


def open_hotkeys(desk: ControlDesk, control: Control) -> Hotkeys:
    """Not yet listening."""
    actions = hotkeys_of(control)

    def take(key: str) -> None:
        if key in actions:
            desk.submit(actions[key])

    return Hotkeys(take)
