"""The voice of a running session as a performer moves it: model, effects, parameters, mute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bunraku import _native
from bunraku.errors import UserInputError
from bunraku.formats.control_action import Switch, finite
from bunraku.session.performed import PerformedVoice


class VoiceSwitch:
    """One thread, but `mute` from any and never waiting.

    name: what the voice's model is called; effects: those written in Python that play after it.
    """

    def __init__(self, voice: PerformedVoice, name: str, effects: Sequence[str]) -> None:
        self._voice = voice
        self.name = name
        self.effects = tuple(effects)
        self.muted = False

    @property
    def model(self) -> _native.Model:
        return self._voice.model

    def prepare(
        self, model: _native.Model, name: str, effects: Sequence[str]
    ) -> Callable[[], None]:
        """What can go wrong goes wrong here: raises UserInputError and OverloadError. What is
        returned makes model and effects heard, the model by a crossfade and with its parameters as
        it has them. name: what it is called."""
        opened = self._voice.open_python_effects(effects)
        self._voice.admit(model, opened)

        def change() -> None:
            if model is not self.model:
                self._voice.swap(model)
            if tuple(effects) != self.effects:
                self._voice.set_python_effects(opened)
            self.name, self.effects = name, tuple(effects)

        return change

    def mute(self, to: Switch) -> bool:
        """Whether the voice is muted now."""
        self.muted = not self.muted if to == "toggle" else to == "on"
        self._voice.set_muted(self.muted)
        return self.muted

    def set_param(self, name: str, value: float) -> None:
        """Raises UserInputError that names the range or the parameters at hand."""
        low, high = self._range(name)
        if not low <= finite(value) <= high:
            raise UserInputError(f"voice.{name} is {value:g}: use {low:g} to {high:g}")
        self._voice.set_param(name, value)

    def slide_param(self, name: str, share: float) -> None:
        """share: 0 to 1 of the parameter's range."""
        low, high = self._range(name)
        self._voice.set_param(name, low + min(1.0, max(0.0, share)) * (high - low))

    def _range(self, name: str) -> tuple[float, float]:
        for info in self.model.params:
            if info["name"] == name:
                return float(info["minimum"]), float(info["maximum"])
        names = ", ".join(f"voice.{info['name']}" for info in self.model.params)
        raise UserInputError(
            f"the model '{self.model.name}' has no parameter '{name}'; at hand: {names or 'none'}"
        )
