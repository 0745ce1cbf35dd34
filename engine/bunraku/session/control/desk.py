"""Where hotkeys, OSC, MIDI and the web page move a running performance."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.effects.audio.native_model import load_model
from bunraku.effects.audio.python_effect import AudioEffect, open_effect
from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.control_action import (
    VOICE,
    Action,
    ChoosePreset,
    Mute,
    Quit,
    Record,
    SetValue,
    Slide,
    StepPreset,
    SwitchEffect,
    described,
    parse_action,
)
from bunraku.formats.performance import read_performance
from bunraku.session.control.action_lane import ActionLane
from bunraku.session.control.effect_rack import EffectRack, Slot
from bunraku.session.control.message_limit import MessageLimit
from bunraku.session.control.preset_fit import check_fit, same_folder
from bunraku.session.control.preset_list import PresetList
from bunraku.session.control.recording import DeskRecording
from bunraku.session.control.voice_switch import VoiceSwitch
from bunraku.session.open_performance import model_of
from bunraku.session.performance import Performance

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset

STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class DeskState:
    """What a page shows. preset: the name in the desk's list, or that of the preset itself."""

    preset: str
    presets: tuple[str, ...]
    muted: bool
    recording: Path | None
    effects: tuple[Slot, ...]


class ControlDesk:
    """Carries out actions on a running performance, each on a thread of the desk's, in order.

    presets: files by name, in a performer's order. preset, path: what plays now. recordings: the
    folder for what `record` makes. on_message: told, from the desk's threads, what was done and
    what went wrong, at a bounded rate; sliders that move are not told.

    `submit` never blocks and never raises. Mute has a thread of its own: it does not wait for a
    preset that is being opened. Use it within the performance's `with`: stopped before that is.
    """

    def __init__(
        self,
        performance: Performance,
        presets: Mapping[str, Path],
        *,
        preset: PerformancePreset,
        path: Path | None = None,
        recordings: Path = Path(),
        on_message: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._performance = performance
        self._presets = PresetList(presets)
        self._running = preset
        self._path = path
        self._messages = MessageLimit(on_message)
        self._voice: VoiceSwitch | None = None
        if performance.voice is not None and preset.voice is not None:
            self._voice = VoiceSwitch(performance.voice, model_of(preset.voice.model, path))
        self._rack: EffectRack | None = None
        if performance.picture is not None and preset.picture is not None:
            self._rack = EffectRack(performance.picture, preset.picture.effect, path)
        self._recording = DeskRecording(performance, recordings, self.say)
        self._quit = False
        self._lane = ActionLane("desk", self._do, self._failed)
        self._mute_lane = ActionLane("mute", self._do, self._failed)

    # ---- any thread -----------------------------------------------------------------------------

    def submit(self, action: Action | str) -> bool:
        """Have `action` done, soon. str: as a preset words it. False: refused, and a message says
        why."""
        try:
            if isinstance(action, str):
                action = parse_action(action)
        except UserInputError as error:
            self.say(str(error))
            return False
        lane = self._mute_lane if isinstance(action, Mute) else self._lane
        if lane.put(action):
            return True
        self.say("the desk is busy or stopped: this action was dropped")
        return False

    def say(self, text: str) -> None:
        """A message to the performer, unless there were too many."""
        self._messages.say(text)

    @property
    def quit_requested(self) -> bool:
        """The performer wants to end: whoever waits for the performance should."""
        return self._quit

    def state(self) -> DeskState:
        return DeskState(
            preset=self._presets.name_of(self._path) or self._running.name,
            presets=self._presets.names,
            muted=self._voice is not None and self._voice.muted,
            recording=self._recording.path,
            effects=self._rack.slots if self._rack is not None else (),
        )

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether everything submitted so far has been done in time."""
        end = time.monotonic() + timeout_s
        lanes = self._mute_lane, self._lane
        return all(lane.wait_until_idle(max(0.0, end - time.monotonic())) for lane in lanes)

    # ---- running --------------------------------------------------------------------------------

    def start(self) -> None:
        self._lane.start()
        self._mute_lane.start()

    def stop(self) -> None:
        """What waits is dropped, a recording is completed. Idempotent."""
        over = [lane.stop(STOP_TIMEOUT_S) for lane in (self._mute_lane, self._lane)]
        if not all(over):
            self.say("a preset is still being opened; left behind")
        else:
            self._recording.end()

    def __enter__(self) -> ControlDesk:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    # ---- the desk's threads ---------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        match action:
            case ChoosePreset(name):
                self._choose(self._presets.find(name))
            case StepPreset(step):
                self._choose(self._presets.after(self._presets.name_of(self._path), step))
            case SetValue() | Slide():
                self._move(action)
            case Mute(to):
                self.say("muted" if self._the_voice().mute(to) else "the voice is heard again")
            case Record(to):
                self._recording.switch(to)
            case SwitchEffect(effect, to):
                on = self._the_rack().switch(effect, to)
                self.say(f"{effect} is {'on' if on else 'off'}")
            case Quit():
                self._quit = True

    def _failed(self, action: Action, error: Exception) -> None:
        expected = isinstance(error, BunrakuError | OSError)
        self.say(f"{described(action)}: {error if expected else repr(error)}")

    def _the_voice(self) -> VoiceSwitch:
        if self._voice is None:
            raise UserInputError("this performance has no voice: give its preset a [voice]")
        return self._voice

    def _the_rack(self) -> EffectRack:
        if self._rack is None:
            raise UserInputError("this performance has no picture: give its preset a [picture]")
        return self._rack

    def _move(self, action: SetValue | Slide) -> None:
        effect, setting = action.target.effect, action.target.setting
        if isinstance(action, Slide):
            if effect == VOICE:
                self._the_voice().slide_param(setting, action.share)
            else:
                self._the_rack().slide(effect, setting, action.share)
        elif effect != VOICE:
            self._the_rack().set(effect, setting, action.value)
        elif isinstance(action.value, str):
            raise UserInputError(f"the value is '{action.value[:60]}': use a number")
        else:
            self._the_voice().set_param(setting, float(action.value))

    # ---- presets --------------------------------------------------------------------------------

    def _choose(self, name: str) -> None:
        """Sources and sinks stay. The picture goes first: it can be refused for its cost, and then
        nothing has changed."""
        path = self._presets.path(name)
        wanted = read_performance(path)
        check_fit(self._running, wanted, same_folder(self._path, path))
        model, effects = None, None
        if self._voice is not None and wanted.voice is not None:
            model = load_model(model_of(wanted.voice.model, path))
            effects = self._other_effects(wanted)
        if self._rack is not None and wanted.picture is not None:
            self._rack.exchange(wanted.picture.effect, path)
        if self._voice is not None and model is not None:
            self._voice.change_model(model, effects)
        self._running, self._path = wanted, path
        self.say(f"preset: {wanted.name or name}")

    def _other_effects(self, wanted: PerformancePreset) -> list[AudioEffect] | None:
        """Opened, if `wanted` has other effects written in Python than what runs."""
        session = self._performance.voice
        assert session is not None, "there is a voice"
        assert wanted.voice is not None, "the halves were compared"
        assert self._running.voice is not None, "the halves were compared"
        names = wanted.voice.effects
        if names == self._running.voice.effects:
            return None
        if names and not session.takes_python_effects:
            raise UserInputError(
                f"its voice.effects ({', '.join(names)}) need a worker, which a performance that"
                " began without any has not: start that preset first"
            )
        rate, channels = session.sample_rate_hz, session.channels
        return [open_effect(name, sample_rate_hz=rate, channels=channels) for name in names]
