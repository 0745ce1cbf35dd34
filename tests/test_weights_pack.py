"""Every effect of the default pack: loads, plays, is small, has a card."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bunraku import weights
from bunraku.errors import UserInputError
from bunraku.formats.load import load_model_spec
from bunraku.samples import SPEECH_PATH

FILE_BYTES_MAX = 400_000
HELD_OUT_ESR_MAX = 0.02


def test_pack_has_at_least_three_effects() -> None:
    assert len(weights.names()) >= 3


@pytest.mark.parametrize("name", weights.names())
def test_effect_is_small_and_has_a_card(name: str) -> None:
    path = weights.find(name)
    assert path.stat().st_size <= FILE_BYTES_MAX
    card = path.with_suffix(".md").read_text()
    for wanted in (
        "## Circuit",
        "## Data",
        "## Training",
        "## Quality",
        "## Limits",
        "Held-out ESR",
    ):
        assert wanted in card, f"{name}.md lacks '{wanted}'"
    assert name in (weights.FOLDER / "README.md").read_text()
    training = json.loads(path.read_text())["metadata"]["training"]
    assert training["validation_esr"] <= HELD_OUT_ESR_MAX


@pytest.mark.parametrize("name", weights.names())
def test_effect_plays_speech(name: str) -> None:
    torch = pytest.importorskip("torch", reason="plays through the PyTorch reference")
    soundfile = pytest.importorskip("soundfile", reason="reads the bundled speech")
    from bunraku.models.build import build_model

    spec = load_model_spec(weights.find(name))
    assert spec.sample_rate_hz == 48_000
    speech = soundfile.read(SPEECH_PATH, dtype="float32")[0][: 3 * 48_000]
    with torch.no_grad():
        played = build_model(spec)(torch.from_numpy(speech)[None, None])[0, 0].numpy()
    assert np.isfinite(played).all()
    assert 0.3 < np.sqrt(np.mean(played**2) / np.mean(speech**2)) < 3.0
    assert np.abs(played).max() < 2.0
    assert abs(played.mean()) < 0.02
    assert np.mean((played - speech) ** 2) > 1e-4 * np.mean(speech**2), "does nothing"


def test_unknown_name_lists_the_pack() -> None:
    with pytest.raises(UserInputError, match=weights.names()[0]):
        weights.find("no-such-effect")
