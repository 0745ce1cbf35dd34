"""The voice of a running session as a performer moves it: model, effects, parameters, mute."""

from __future__ import annotations

from collections.abc import Sequence

from bunraku import _native
from bunraku.effects.audio.python_effect import AudioEffect
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

    def open_effects(self, names: Sequence[str]) -> list[AudioEffect] | None:
        """For `change`, before anything else is changed; None: they are what plays. Raises
        UserInputError."""
        return None if tuple(names) == self.effects else self._voice.open_python_effects(names)

    def change(
        self,
        model: _native.Model,
        name: str,
        effects: Sequence[str],
        opened: list[AudioEffect] | None,
    ) -> None:
        """Crossfade to `model` with its parameters as it has them. opened: `effects`, or None."""
        if model is not self.model:
            self._voice.swap(model)
        if opened is not None:
            self._voice.set_python_effects(opened)
        self.name, self.effects = name, tuple(effects)

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
