"""The recipe from two files to a `.nam`: learns, resumes, refuses."""

# ruff: noqa: E402 (the packages are asked for first)

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bunraku.errors import BunrakuError, MediaError, UserInputError

for package in ("torch", "lightning", "tensorboard", "soundfile", "soxr", "matplotlib", "scipy"):
    pytest.importorskip(package, reason=f"training needs {package}")
from bunraku.formats.load import load_model_spec
from bunraku.models.build import build_model
from bunraku.training.effect_recipe import train_effect
from bunraku.training.effect_settings import EffectSettings

RATE = 48_000
SECONDS = 16


def circuit(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise of changing level; the same after a one-pole low-pass and tanh, 41 frames late."""
    from scipy.signal import lfilter

    n = SECONDS * RATE
    dry = lfilter([1], [1, -0.9], np.random.default_rng(seed).standard_normal(n))
    dry = dry * (0.5 + 0.5 * np.sin(np.arange(n) / 9000)) * 0.12
    wet = 0.3 * np.tanh(3 * lfilter([0.3], [1, -0.7], dry))
    return dry.astype(np.float32), np.roll(wet, 41).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    import soundfile

    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> EffectSettings:
    dry, wet = circuit()
    return EffectSettings(
        dry=write(tmp_path / "dry.wav", dry),
        wet=write(tmp_path / "wet.wav", wet),
        out=tmp_path / "crunch",
        architecture="nano",
        epochs=4,
        validation_seconds=2.0,
        segment_frames=8192,
        device="cpu",
        progress_bar=False,
    )


@pytest.mark.slow
def test_learns_resumes_and_writes_what_it_measured(settings: EffectSettings) -> None:
    first = train_effect(settings)
    with pytest.raises(UserInputError, match="--resume"):
        train_effect(settings)
    second = train_effect(replace(settings, epochs=6, resume=True))
    assert second.steps == first.steps * 6 // 4
    assert second.validation_esr < min(first.validation_esr, 0.05)
    assert second.delay_frames == 41
    assert not second.inverted
    history = json.loads(second.report_path.read_text())["history"]
    assert len(history["validation_esr"]) == 6
    assert second.plot_path.stat().st_size > 10_000
    assert list(settings.out.glob("tensorboard/events*"))

    import torch

    dry, wet = (x[48_000 * 14 :] for x in circuit())
    model = build_model(load_model_spec(second.model_path))
    with torch.no_grad():
        played = model(torch.from_numpy(dry.copy())[None, None])[0, 0].numpy()
    error = played[4092:-41] - wet[4092 + 41 :]
    esr = np.sum(error**2) / np.sum(wet[4092 + 41 :] ** 2)
    assert esr == pytest.approx(second.validation_esr, rel=0.3)

    checkpoint = settings.out / "checkpoints" / "last.ckpt"
    with pytest.raises(UserInputError, match="another architecture"):
        train_effect(replace(settings, architecture="feather", epochs=7, resume=True))
    checkpoint.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserInputError, match="cannot be resumed"):
        train_effect(replace(settings, epochs=7, resume=True))


def refuse(
    settings: EffectSettings, message: str, kind: type[BunrakuError] = UserInputError
) -> None:
    with pytest.raises(kind, match=message) as caught:
        train_effect(settings)
    assert "\n" not in str(caught.value)


def test_refuses_unusable_recordings(settings: EffectSettings, tmp_path: Path) -> None:
    wet = circuit()[1]

    def with_wet(samples: np.ndarray, rate: int = RATE) -> EffectSettings:
        return replace(settings, wet=write(tmp_path / "other.wav", samples, rate))

    refuse(with_wet(wet[: -RATE * 2]), "differ in length")
    refuse(with_wet(wet, 44_100), "48000 Hz and wet 44100 Hz")
    refuse(with_wet(wet * 1e-5), "silent")
    refuse(with_wet(np.clip(wet * 20, -1, 1)), "clipped")
    refuse(with_wet(np.where(np.arange(len(wet)) == 9, np.nan, wet)), "not finite")
    refuse(with_wet(wet[: RATE * 3]), "too short")
    refuse(with_wet(np.stack([wet, -wet], 1)), "channels")
    refuse(with_wet(circuit(seed=5)[1]), "same performance")
    refuse(replace(settings, wet=tmp_path / "none.wav"), "no such file", MediaError)
    (tmp_path / "text.wav").write_text("not audio")
    refuse(replace(settings, wet=tmp_path / "text.wav"), "not a readable audio", MediaError)


def test_refuses_impossible_settings(settings: EffectSettings) -> None:
    import torch

    refuse(replace(settings, architecture="huge"), "standard, lite")
    refuse(replace(settings, epochs=0), "epochs is 0")
    refuse(replace(settings, device="tpu"), "auto, cpu, cuda")
    refuse(replace(settings, resume=True), "nothing to resume")
    refuse(replace(settings, validation_seconds=9.0), "more than half")
    if not torch.cuda.is_available():
        refuse(replace(settings, device="cuda"), "not available")
