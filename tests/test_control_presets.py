"""The presets that come along are sound, and can be exchanged for one another while they play."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed: pip install 'bunraku[cli]'")

from bunraku import presets
from bunraku.effects.video.video_effect import catalogue
from bunraku.errors import UserInputError
from bunraku.formats.performance import read_performance
from bunraku.session.control.preset_fit import check_fit
from bunraku.session.control.setting_range import as_declared, at_share, schemas
from bunraku.session.open_performance import model_of, video_effects


@pytest.mark.parametrize("name", presets.names())
def test_each_is_sound(name: str) -> None:
    path = presets.find(name)
    preset = read_performance(path)
    assert preset.voice is not None
    assert preset.picture is not None
    assert preset.voice.source.type == "device"
    assert preset.picture.source.type == "camera"
    assert model_of(preset.voice.model, path)
    assert len(video_effects(preset.picture.effect, path)) == len(preset.picture.effect)


def test_each_can_follow_each() -> None:
    read = [read_performance(presets.find(name)) for name in presets.names()]
    assert len(read) >= 3
    for preset in read[1:]:
        check_fit(read[0], preset, same_folder=True)


def test_by_name_or_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[voice]\n")
    assert presets.locate(path) == path
    assert presets.locate(Path("puppet")) == presets.find("puppet")
    with pytest.raises(
        UserInputError,
        match="evening-call, masked, natural, night-radio, painted, puppet, radio-show",
    ):
        presets.locate(tmp_path / "none.toml")
    with pytest.raises(UserInputError, match="there are evening-call, masked"):
        presets.find("../presets/puppet")


def test_what_lies_beside_a_preset(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.toml").write_text("[voice]\n")
    (tmp_path / "chain.toml").write_text('[[effect]]\ntype = "gain"\ngain_db = 1.0\n')
    (tmp_path / "broken.toml").write_text("[[[")
    (tmp_path / "folder.toml").mkdir()
    assert list(presets.beside(tmp_path / "b.toml")) == ["a", "b"]
    for number in range(100):
        (tmp_path / f"c{number}.toml").write_text("[voice]\n")
    assert len(presets.beside(tmp_path / "b.toml")) == presets.MOST_BESIDE


def test_every_setting_of_every_effect_has_a_knob_or_says_why() -> None:
    """And what a knob gives at both ends and in the middle is what the effect accepts."""
    from bunraku.effects.video.video_effect import make_effect

    turned = 0
    for name, kind in catalogue().items():
        for setting, schema in schemas(kind).items():
            if schema.get("path"):
                with pytest.raises(UserInputError, match="by its value"):
                    at_share(kind, setting, 0.5)
                continue
            required = {"picture": "x.png"} if name == "background_replace" else {}
            for share in (-1.0, 0.0, 0.4, 1.0, 7.0):
                value = at_share(kind, setting, share)
                made = make_effect(name, **{**required, setting: value})
                assert getattr(made.settings, setting) == value
            turned += 1
    assert turned >= 20


def test_numbers_of_controllers_become_what_a_setting_is() -> None:
    anonymise = catalogue()["anonymise"]
    assert as_declared(anonymise, "cells", 5.0) == 5
    assert isinstance(as_declared(anonymise, "cells", 5.0), int)
    assert as_declared(anonymise, "cells", 5.5) == 5.5
    assert as_declared(anonymise, "whole_frame_without_face", 1.0) is True
    assert as_declared(anonymise, "margin", 1) == 1
    with pytest.raises(UserInputError, match="has no setting 'x'"):
        as_declared(anonymise, "x", 1)
