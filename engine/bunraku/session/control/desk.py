"""Where hotkeys, OSC, MIDI and the web page move a running performance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bunraku.effects.audio.native_model import load_model, pack_names
from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.control_action import (
    VOICE,
    Action,
    Arrange,
    ChoosePreset,
    ChooseVoice,
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
from bunraku.session.performed import Performed

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset

STOP_TIMEOUT_S = 10.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class DeskState:
    """What a page shows. preset: the name in the desk's list, or that of the preset itself; None
    once its chain was arranged by hand. voice, voice_effects: "" and () without one. recorded: the
    files complete so far."""

    preset: str | None
    presets: tuple[str, ...]
    voice: str
    voice_effects: tuple[str, ...]
    muted: bool
    recording: Path | None
    recorded: tuple[Path, ...]
    effects: tuple[Slot, ...]


class ControlDesk:
    """Carries out actions on a running performance, on a thread of the desk's, in order.

    presets: files by name, in a performer's order. preset, path: what plays now; its halves are
        those that can be moved, whether the performance has a picture at the moment or not.
    ends_stay: a preset with other sources and sinks than what runs is taken for what lies between
        them, rather than refused. recordings: the folder for what `record` makes, None: nothing is
        recorded; most_recording_s: of one file. on_message: told, from the desk's threads, what was
        done and what went wrong, at a bounded rate; sliders that move are not told.

    `submit` never blocks and never raises; `ask` answers with what went wrong. Mute does not wait
    for what is being opened. Use it within the performance's `with`: stopped before that is.
    """

    def __init__(
        self,
        performance: Performed,
        presets: Mapping[str, Path],
        *,
        preset: PerformancePreset,
        path: Path | None = None,
        ends_stay: bool = False,
        recordings: Path | None = Path(),
        most_recording_s: float = math.inf,
        on_message: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._presets = PresetList(presets)
        self._running = preset
        self._path = path
        self._ends_stay = ends_stay
        self._messages = MessageLimit(on_message)
        self._voice: VoiceSwitch | None = None
        if performance.voice is not None and preset.voice is not None:
            self._voice = VoiceSwitch(performance.voice, preset.voice.model, preset.voice.effects)
        self._rack: EffectRack | None = None
        if preset.picture is not None:
            self._rack = EffectRack(lambda: performance.picture, preset.picture, path)
        self.recording = DeskRecording(performance, recordings, most_recording_s, self._say_surely)
        self._quit = False
        self._lane = ActionLane("desk", self._failed)

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
        if isinstance(action, Mute):
            self._tell_failure(action)
            return True
        if self._lane.put(action, lambda: self._do(action)):
            return True
        self.say("the desk is busy or stopped: this action was dropped")
        return False

    def ask(self, action: Action) -> Future[None]:
        """As `submit`, for somebody who waits: the future raises what went wrong."""
        if not isinstance(action, Mute):
            return self._lane.ask(lambda: self._do(action))
        done: Future[None] = Future()
        try:
            self._do(action)
            done.set_result(None)
        except BunrakuError as error:
            done.set_exception(error)
        return done

    def in_turn(self, make: Callable[[], Result]) -> Future[Result]:
        """Run `make` on the desk's thread, in order with the actions."""
        return self._lane.ask(make)

    def _tell_failure(self, action: Mute) -> None:
        try:
            self._do(action)
        except BunrakuError as error:
            self._failed(action, error)

    def say(self, text: str) -> None:
        """A message to the performer, unless there were too many."""
        self._messages.say(text)

    def _say_surely(self, text: str) -> None:
        """However many there were: what became of a file must not be guessed."""
        self._messages.say(text, must_arrive=True)

    @property
    def quit_requested(self) -> bool:
        """The performer wants to end: whoever waits for the performance should."""
        return self._quit

    def state(self) -> DeskState:
        voice, rack = self._voice, self._rack
        by_hand = rack is not None and rack.rearranged
        return DeskState(
            preset=None if by_hand else self._presets.name_of(self._path) or self._running.name,
            presets=self._presets.names,
            voice=voice.name if voice is not None else "",
            voice_effects=voice.effects if voice is not None else (),
            muted=voice is not None and voice.muted,
            recording=self.recording.path,
            recorded=self.recording.finished,
            effects=rack.slots if rack is not None else (),
        )

    @property
    def rack(self) -> EffectRack:
        """Raises UserInputError without a picture."""
        if self._rack is None:
            raise UserInputError("this performance has no picture: give its preset a [picture]")
        return self._rack

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether everything submitted so far has been done in time."""
        return self._lane.wait_until_idle(timeout_s)

    # ---- running --------------------------------------------------------------------------------

    def start(self) -> None:
        self._lane.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """A recording is completed, what waits is dropped; what runs may take `timeout_s` to end.
        Idempotent."""
        self.recording.end()
        if not self._lane.stop(timeout_s):
            self.say("a preset is still being opened; left behind")
        self.recording.end()

    def __enter__(self) -> ControlDesk:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    # ---- the desk's thread ----------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        match action:
            case ChoosePreset(name):
                self._choose(self._presets.find(name))
            case StepPreset(step):
                self._step(step)
            case SetValue() | Slide():
                self._move(action)
            case Mute(to):
                self.say("muted" if self._the_voice().mute(to) else "the voice is heard again")
            case Record(to):
                self.recording.switch(to)
            case SwitchEffect(effect, to):
                on = self.rack.switch(effect, to)
                self.say(f"{effect} is {'on' if on else 'off'}")
            case Arrange(effects):
                self.rack.arrange(effects)
            case ChooseVoice():
                self._choose_voice(action)
            case Quit():
                self._quit = True

    def _failed(self, action: Action, error: Exception) -> None:
        expected = isinstance(error, BunrakuError | OSError)
        self.say(f"{described(action)}: {error if expected else repr(error)}")

    def _the_voice(self) -> VoiceSwitch:
        if self._voice is None:
            raise UserInputError("this performance has no voice: give its preset a [voice]")
        return self._voice

    def _move(self, action: SetValue | Slide) -> None:
        effect, setting = action.target.effect, action.target.setting
        if isinstance(action, Slide):
            if effect == VOICE:
                self._the_voice().slide_param(setting, action.share)
            else:
                self.rack.slide(effect, setting, action.share)
        elif effect != VOICE:
            self.rack.set(effect, setting, action.value)
        elif isinstance(action.value, str):
            raise UserInputError(f"the value is '{action.value[:60]}': use a number")
        else:
            self._the_voice().set_param(setting, float(action.value))

    # ---- presets --------------------------------------------------------------------------------

    def _choose(self, name: str) -> None:
        """Sources and sinks stay. The picture goes first: it can be refused for its cost, and then
        nothing has changed."""
        path = self._presets.path(name)
        wanted = read(path)
        self._check(wanted, path)
        change_voice = None
        if self._voice is not None and wanted.voice is not None:
            model = load_model(model_of(wanted.voice.model, path))
            change_voice = self._voice.prepare(model, wanted.voice.model, wanted.voice.effects)
        if self._rack is not None and wanted.picture is not None:
            self._rack.exchange(wanted.picture, path)
        if change_voice is not None:
            change_voice()
        self._running, self._path = wanted, path
        self.say(f"preset: {wanted.name or name}")

    def _step(self, step: int) -> None:
        """To the next that fits; one that does not must not bar the way to those behind it. Raises
        UserInputError of the first, if none does."""
        name = here = self._presets.name_of(self._path)
        refused: UserInputError | None = None
        for _ in self._presets.names:
            name = self._presets.after(name, step)
            if name == here:
                break
            path = self._presets.path(name)
            try:
                self._check(read(path), path)
            except UserInputError as error:
                refused = refused or error
            else:
                self._choose(name)
                return
        if refused is not None:
            raise refused

    def _check(self, wanted: PerformancePreset, path: Path) -> None:
        if not self._ends_stay:
            check_fit(self._running, wanted, same_folder(self._path, path))

    def _choose_voice(self, wanted: ChooseVoice) -> None:
        voice = self._the_voice()
        model = voice.model
        if wanted.model != voice.name:
            if wanted.model not in pack_names():
                raise UserInputError(
                    f"no voice '{wanted.model[:60]}': there is {', '.join(pack_names())}; others"
                    " come with presets"
                )
            model = load_model(wanted.model)
        effects = voice.effects if wanted.effects is None else wanted.effects
        voice.prepare(model, wanted.model, effects)()


def read(path: Path) -> PerformancePreset:
    """A preset that was there when the list was made. Raises UserInputError."""
    try:
        return read_performance(path)
    except OSError as error:
        raise UserInputError(
            f"the preset {path.name} cannot be read any more ({error.strerror})"
        ) from error
