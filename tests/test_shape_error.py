"""What is said of a preset or a setting that does not fit: place, value, range and remedy."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("cv2")

from bunraku.effects.video.video_effect import make_effect
from bunraku.errors import ModelFormatError, UserInputError
from bunraku.formats.performance import parse_performance
from bunraku.formats.preset import checked_preset


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[voice]\nsize = 1.5", "voice.size is 1.5: use 0 to 1; correct the preset"),
        ("[voice]\nblock_frames = 1.5", "voice.block_frames is 1.5: use a whole number 1 to 8192"),
        ("[voice]\nsize = inf", "voice.size is inf: use a finite number 0 to 1"),
        ("[voice]\nsample_rate_hz = 7", "voice.sample_rate_hz is 7: use 8000 to 384000"),
        ("[voice]\nblock = 3", 'voice has no key "block"; its keys: model, source, sink'),
        ("[vioce]\n[voice]", 'the preset has no key "vioce"; its keys: name, voice'),
        ("name = 3\n[voice]", "name is 3: use text in quotes"),
        ("[voice]\nmodel = ''", "voice.model is '': use at least 1 character"),
        ("[voice]\nsource = {type = 'dvice'}", "voice.source.type is 'dvice': use device, file"),
        ("[voice]\nsource = {name = 'x'}", "voice.source.type is missing: use device, file"),
        ("[voice]\nsource = {type = 'file'}", "voice.source.file is missing: add it"),
        ("[voice]\nsource = {type = 'device', name = true}", "voice.source.name is true: use text"),
        ("[picture]\nsource = {type = 'camera', width = 5}", "source.width is 5: use 16 to 4096"),
        ("[picture]\nsource = {type = 'camera', format = 'a'}", "use four letters or digits"),
        ("[picture]\nsource = {type = 'test', picture = 'x'}", "use 'pattern' or 'portrait'"),
        ("[picture]\neffect = 3", "picture.effect is 3: use a list"),
        ("", "a performance has [voice], [picture], or both; correct the preset"),
        ("[voice]\n[control]\nhotkeys = {bb = 'quit'}", "control.hotkeys.bb is 'bb': a key is one"),
        ('[voice]\n"a\\nb" = 1', r"""voice has no key "'a\nb'";"""),
    ],
)
def test_a_performance_says_what_it_wants(text: str, says: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        parse_performance(text.encode())
    said = str(caught.value)
    assert says in said
    assert len(said.splitlines()) == 1
    assert not {"Input", "Extra", "Value error", "String"} & set(said.replace(":", " ").split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[effect]]\ntype = 'gain'\ngain_db = 1000", "effect.0.gain_db is 1000: use -120 to 60"),
        ("[[effect]]\ntype = 'gian'", "effect.0.type is 'gian': use gain, model, mix, rate"),
        (
            "[[effect]]\ntype = 'mix'\nwet = 1.0\n[[effect.effect]]\ntype = 'mix'\nwet = 2.0",
            "effect.0.effect.0.wet is 2.0: use 0 to 1",
        ),
    ],
)
def test_a_chain_says_what_it_wants(text: str, says: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        checked_preset(text.encode())
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("background_blur", {"strength": 3}, "background_blur.strength is 3: use 0 to 1"),
        ("background_blur", {"stren": 1.0}, 'has no setting "stren"; its settings: strength'),
        ("anonymise", {"style": "x"}, "anonymise.style is 'x': use 'mosaic' or 'blur'"),
        ("anonymise", {"cells": 2}, "anonymise.cells is 2: use 3 to 16"),
        ("background_replace", {}, "background_replace.picture is missing: add it"),
        ("neural", {"strength": float("nan")}, "neural.strength is nan: use a finite number 0"),
    ],
)
def test_an_effect_says_what_it_wants(name: str, settings: dict[str, object], says: str) -> None:
    with pytest.raises(UserInputError) as caught:
        make_effect(name, **settings)
    assert says in str(caught.value)
