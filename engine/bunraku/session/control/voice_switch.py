"""The voice of a running session as a performer moves it: model, parameters, mute."""

from __future__ import annotations

import threading

import numpy as np

from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.effects.audio.python_effect import AudioEffect
from bunraku.errors import UserInputError
from bunraku.formats.control_action import Switch, finite
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, LinearSpec, ModelSpec
from bunraku.session.live_session import LiveSession, ModelLike


class VoiceSwitch:
    """Any thread. Mute crossfades to a model that plays zeros, so that nothing clicks, and the
    silence is digital; unmuted, the model of the moment plays with its parameters as they were.

    model: what the session plays now. Raises what loading a model raises.
    """

    def __init__(self, session: LiveSession, model: ModelLike) -> None:
        self._session = session
        self._model = load_model(model)
        self._values: dict[str, float] = {}
        self._muted = False
        self._lock = threading.Lock()

    @property
    def muted(self) -> bool:
        return self._muted

    def change_model(self, model: _native.Model, effects: list[AudioEffect] | None) -> None:
        """Crossfade to `model`; effects: in place of those written in Python, None: they stay.
        While muted, it is heard once unmuted."""
        with self._lock:
            if effects is not None:
                self._session.set_python_effects(effects)
            self._model = model
            self._values = {}
            if not self._muted:
                self._session.swap(model)

    def mute(self, to: Switch) -> bool:
        """Whether the voice is muted now."""
        with self._lock:
            wanted = not self._muted if to == "toggle" else to == "on"
            if wanted != self._muted:
                self._session.swap(silence(self._model) if wanted else self._model)
                self._muted = wanted
                if not wanted:
                    for name, value in self._values.items():
                        self._session.set_param(name, value)
            return wanted

    def set_param(self, name: str, value: float) -> None:
        """Raises UserInputError that names the range or the parameters at hand."""
        with self._lock:
            low, high = self._range(name)
            if not low <= finite(value) <= high:
                raise UserInputError(f"voice.{name} is {value:g}: use {low:g} to {high:g}")
            self._keep(name, value)

    def slide_param(self, name: str, share: float) -> None:
        """share: 0 to 1 of the parameter's range."""
        with self._lock:
            low, high = self._range(name)
            self._keep(name, low + share * (high - low))

    def _keep(self, name: str, value: float) -> None:
        self._values[name] = value
        if not self._muted:
            self._session.set_param(name, value)

    def _range(self, name: str) -> tuple[float, float]:
        for info in self._model.params:
            if info["name"] == name:
                return float(info["minimum"]), float(info["maximum"])
        names = ", ".join(f"voice.{info['name']}" for info in self._model.params)
        raise UserInputError(
            f"the model '{self._model.name}' has no parameter '{name}'; at hand: {names or 'none'}"
        )


def silence(model: _native.Model) -> _native.Model:
    """A model that plays zeros at the rate of `model`, so that it is as late as that."""
    zero = LinearSpec(1, False, np.zeros(1, np.float32))
    return _native.Model(write_flat(ModelSpec(ChainSpec((zero,)), model.sample_rate_hz, "silence")))
