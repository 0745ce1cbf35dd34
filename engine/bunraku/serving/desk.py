"""The control desk of one performance: what the page's buttons and sliders do.

All methods may take long (models are opened, files finished): call them from a thread that may
wait, one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bunraku.effects.audio.native_model import pack_names
from bunraku.effects.video.video_effect import VideoEffect, make_effect
from bunraku.errors import BunrakuError, OverloadError, UserInputError
from bunraku.serving.effect_schema import visible_settings, visitor_settings
from bunraku.serving.messages import WantedEffect
from bunraku.serving.preset_shelf import PresetShelf
from bunraku.serving.recent_latency import RecentLatency
from bunraku.serving.recording import Recording, recordings_folder
from bunraku.serving.voice import Voice
from bunraku.session.video_session import VideoSession

DEFAULT_MODEL = "radio"


class Desk:
    """picture: None while no camera is on; its effects are then kept for when one is."""

    def __init__(self, voice: Voice, shelf: PresetShelf, recordings: Path | None) -> None:
        self.voice = voice
        self.picture: VideoSession | None = None
        self.preset: str | None = None
        self.recorded: dict[str, Path] = {}
        self.latency = RecentLatency()
        self._shelf = shelf
        self._recordings = recordings
        self._recording: Recording | None = None
        self._kept: list[VideoEffect] = []

    # ---- the picture ----------------------------------------------------------------------------

    def open_picture(self, make: Callable[[list[VideoEffect]], VideoSession]) -> str | None:
        """Start what `make` makes of the effects, or, where they do not fit beside what runs, of
        none. Returns what a visitor should know. Raises what `VideoSession.start` raises."""
        assert self.picture is None, "the last one was closed"
        try:
            self.picture = make(self.fresh_effects()).__enter__()
        except OverloadError as error:
            self.picture = make([]).__enter__()
            return f"{error}. The picture goes on without effects"
        return None

    def close_picture(self) -> None:
        if self.picture is None:
            return
        self.finish_recording()
        self._kept = list(self.picture.effects.values())
        self.picture.stop()
        self.picture = None

    def fresh_effects(self) -> list[VideoEffect]:
        """The chain as it stands, as effects that are not yet open."""
        return [
            make_effect(effect.name, **effect.settings.model_dump(exclude_unset=True))
            for effect in self.effects.values()
        ]

    @property
    def effects(self) -> dict[str, VideoEffect]:
        """By name; of a chain that does not run the kept ones, numbered alike."""
        if self.picture is not None:
            return self.picture.effects
        from bunraku.effects.video.chain import numbered

        return dict(numbered(self._kept))

    def _use(self, effects: Sequence[VideoEffect]) -> None:
        if self.picture is None:
            self._kept = list(effects)
        else:
            self.picture.set_effects(effects)

    def set_effects(self, wanted: Sequence[WantedEffect]) -> None:
        """Raises UserInputError, OverloadError or what an effect raises when it opens; the chain
        then stays as it was."""
        now = self.effects
        self._use(
            [
                make_effect(
                    one.effect,
                    **visitor_settings(
                        one.effect, dict(one.settings), now.get(one.kept) if one.kept else None
                    ),
                )
                for one in wanted
            ]
        )
        self.preset = None

    def change_effect(self, name: str, settings: dict[str, Any]) -> None:
        """Raises UserInputError."""
        effects = self.effects
        if name not in effects:
            raise UserInputError(f"no effect here is named '{name[:60]}'")
        effects[name].change(**visitor_settings(effects[name].name, settings, None))

    # ---- the voice, presets ---------------------------------------------------------------------

    def set_voice(self, model: str, effects: Sequence[str]) -> None:
        """model: of the pack, or of a preset. Raises UserInputError."""
        if model in pack_names():
            self.voice.choose(model, model, effects)
        elif model == self.voice.model and self.preset is not None:
            self.voice.choose(model, self._shelf.find(self.preset).model_path(), effects)
        else:
            raise UserInputError(
                f"no voice '{model[:60]}': there is {', '.join(pack_names())}; others come with"
                " presets"
            )

    def choose_preset(self, name: str) -> None:
        """First the picture, which may be refused, then the voice. Raises BunrakuError."""
        shelved = self._shelf.find(name)
        self._use(shelved.effects())
        if shelved.model is not None:
            self.voice.choose(shelved.model, shelved.model_path(), shelved.voice_effects)
        self.preset = name

    # ---- recordings -----------------------------------------------------------------------------

    def record(self) -> None:
        """Raises UserInputError without a folder or a picture, and what the writer raises."""
        folder = recordings_folder(self._recordings)
        if self._recording is not None:
            return
        if self.picture is None:
            raise UserInputError("a recording begins with a picture: switch the camera on")
        self._recording = Recording(folder, self.picture, self.voice)

    def finish_recording(self) -> str | None:
        """The name of the complete file, if one was being made. Raises what went wrong."""
        recording, self._recording = self._recording, None
        if recording is None:
            return None
        path = recording.finish()
        if path is None:
            return None
        self.recorded[path.name] = path
        return path.name

    @property
    def recording_needs_end(self) -> bool:
        recording = self._recording
        return recording is not None and (recording.error is not None or recording.too_long)

    # ---- what the page shows --------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What changes when somebody changes it."""
        chain = [
            {"name": name, "effect": effect.name, "settings": visible_settings(effect)}
            for name, effect in self.effects.items()
        ]
        return {
            "type": "state",
            "preset": self.preset,
            "effects": chain,
            "voice": {"model": self.voice.model, "effects": list(self.voice.effect_names)},
            "camera": self.picture is not None,
            "recording": self._recording is not None,
        }

    def figures(self) -> dict[str, Any]:
        """What changes by itself."""
        now_ns = time.monotonic_ns()
        recording = self._recording
        return {
            "type": "figures",
            "voice": asdict(self.voice.figures(now_ns)),
            "picture": None if self.picture is None else self._picture_figures(now_ns),
            "recording_s": None if recording is None else round(recording.seconds, 1),
        }

    def _picture_figures(self, now_ns: int) -> dict[str, Any]:
        assert self.picture is not None, "a camera is on"
        report = self.picture.report()
        recent = self.latency.figures(now_ns)
        return {
            "size": [report.width, report.height],
            "captured": report.captured,
            "shown": report.shown,
            "late": report.late,
            "dropped": report.replaced + report.skipped + report.source_dropped,
            "failed": report.failed + report.source_corrupt,
            "rung": report.rung,
            "rungs": report.rungs,
            "run_ms": report.run_ms.p50,
            "recent": asdict(recent),
            "effects": [
                {
                    "name": effect.name,
                    "tier": effect.tier,
                    "tiers": list(effect.tiers),
                    "run_ms": effect.run_ms.p50,
                    "error": effect.error,
                }
                for effect in report.effects
            ],
        }

    def close(self) -> None:
        """Recording finished, picture stopped. Idempotent."""
        try:
            self.close_picture()
        except BunrakuError:
            if self.picture is not None:  # the recording failed; the picture still has to end
                self.picture.stop()
                self.picture = None
