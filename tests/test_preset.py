"""Chain presets: what they mean, and how wrong ones are refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from bunraku.errors import ModelFormatError
from bunraku.formats.flat import write_flat
from bunraku.formats.flat_reader import parse_flat
from bunraku.formats.load import load_model_spec
from bunraku.formats.nam_writer import write_nam
from bunraku.formats.specs import (
    ChainSpec,
    GainSpec,
    LstmSpec,
    MixSpec,
    ModelSpec,
    RateSpec,
    SlimmableSpec,
)
from small_specs import as_model, mono_networks, other_networks

GAIN = '[[effect]]\ntype = "gain"\ngain_db = 6\n'
LSTM = '[[effect]]\ntype = "model"\nfile = "lstm.nam"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    networks = other_networks()
    (tmp_path / "lstm.nam").write_bytes(write_nam(as_model(networks["lstm"])))
    (tmp_path / "slim.nam").write_bytes(write_nam(as_model(networks["slimmable"])))
    slow = replace(as_model(networks["convnet"]), sample_rate_hz=44_100.0)
    (tmp_path / "slow.nam").write_bytes(write_nam(slow))
    return tmp_path


def preset(folder: Path, text: str, name: str = "chain.toml") -> ModelSpec:
    path = folder / name
    path.write_text(text)
    return load_model_spec(path)


def test_effects_stand_in_order(folder: Path) -> None:
    nested = (
        '[[effect]]\ntype = "mix"\nwet = 0.25\n[[effect.effect]]\ntype = "gain"\ngain_db = -3.0\n'
    )
    spec = preset(folder, f'name = "Radio"\n{GAIN}{LSTM}{nested}')
    gain, lstm, mix = spec.chain.nodes
    assert (spec.name, spec.sample_rate_hz) == ("Radio", 48_000.0)
    assert gain == GainSpec(6.0)
    assert isinstance(lstm, LstmSpec)
    assert isinstance(mix, MixSpec)
    assert (mix.wet, mix.chain.nodes) == (0.25, (GainSpec(-3.0),))
    flat = write_flat(spec)
    assert write_flat(parse_flat(flat)) == flat


def test_a_model_of_another_rate_is_resampled(folder: Path) -> None:
    slow = '[[effect]]\ntype = "model"\nfile = "slow.nam"\n'
    spec = preset(folder, LSTM + slow)
    assert spec.sample_rate_hz == 48_000.0
    node = spec.chain.nodes[1]
    assert isinstance(node, RateSpec)
    assert node.sample_rate_hz == 44_100.0
    first = preset(folder, slow + LSTM)
    assert first.sample_rate_hz == 44_100.0
    assert isinstance(first.chain.nodes[1], RateSpec)
    both = preset(folder, "sample_rate_hz = 32000\n" + slow + LSTM)
    assert all(isinstance(node, RateSpec) for node in both.chain.nodes)


def test_a_chain_may_be_given_its_own_rate(folder: Path) -> None:
    inner = LSTM.replace("[[effect]]", "[[effect.effect]]").replace("lstm", "slow")
    spec = preset(folder, '[[effect]]\ntype = "rate"\nsample_rate_hz = 44100.0\n' + inner)
    assert spec.sample_rate_hz == 44_100.0 or isinstance(spec.chain.nodes[0], RateSpec)
    rate = spec.chain.nodes[0]
    assert isinstance(rate, RateSpec)
    assert not isinstance(rate.chain.nodes[0], RateSpec)


def test_a_size_picks_one_network(folder: Path) -> None:
    slim = LSTM.replace("lstm", "slim")
    assert isinstance(preset(folder, slim).chain.nodes[0], SlimmableSpec)
    assert isinstance(preset(folder, slim + "size = 0.1\n").chain.nodes[0], LstmSpec)


def test_a_preset_may_name_a_preset_and_a_flat_file(folder: Path) -> None:
    (folder / "below").mkdir()
    shutil.copy(folder / "lstm.nam", folder / "below")
    inner = preset(folder, GAIN + LSTM, "below/inner.toml")
    (folder / "flat.bnk").write_bytes(write_flat(inner))
    text = LSTM.replace("lstm.nam", "below/inner.toml") + LSTM.replace("lstm.nam", "flat.bnk")
    spec = preset(folder, text)
    kinds = [type(node) for node in spec.chain.nodes]
    assert kinds == [GainSpec, LstmSpec, GainSpec, LstmSpec]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[effect]]\n", "type"),
        ('[[effect]]\ntype = "fuzz"\n', "type|tag"),
        ('[[effect]]\ntype = "gain"\n', "gain_db"),
        (GAIN.replace("6", "61"), "use -120 to 60"),
        (GAIN.replace("6", "nan"), "finite"),
        (GAIN.replace("6", "true"), "gain_db"),
        (GAIN.replace("6", '"6"'), "gain_db"),
        (GAIN + "colour = 3\n", "colour"),
        ("sample_rate_hz = 4000\n" + GAIN, "8000"),
        (GAIN + "gain_db = 7\n", "TOML"),
        ("effect = [" * 3000, "nested too deep|TOML"),
        (LSTM.replace("lstm", "none"), "put it there"),
        (LSTM.replace("lstm.nam", "../lstm.nam"), "within the preset's folder"),
        (LSTM.replace("lstm.nam", "below/../../lstm.nam"), "within the preset's folder"),
        (LSTM.replace("lstm.nam", "/etc/passwd"), "within the preset's folder"),
        (LSTM.replace("lstm.nam", "C:/x.nam"), "within the preset's folder"),
        (LSTM.replace("lstm.nam", "."), "put it there"),
        (LSTM.replace("lstm.nam", "chain.toml"), "name itself"),
        (GAIN * 65, "64"),
        ("[[" + ".".join(["effect"] * 400) + "]]\n", "."),
    ],
)
def test_wrong_presets_are_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message) as caught:
        preset(folder, text)
    assert "\n" not in str(caught.value)
    assert "chain.toml" in str(caught.value)


@pytest.mark.parametrize("depth", [5, 60, 600, 6000])
def test_deep_nesting_is_refused(folder: Path, depth: int) -> None:
    text = ""
    for level in range(1, depth + 1):
        key = ".".join(["effect"] * level)
        text += f'[[{key}]]\ntype = "mix"\nwet = 1\n'
        if len(text) > 1 << 20:
            break
    with pytest.raises(ModelFormatError):
        preset(folder, text)


def test_many_files_are_refused(folder: Path) -> None:
    for index in range(70):
        os.link(folder / "lstm.nam", folder / f"{index}.nam")
    group = '[[effect]]\ntype = "mix"\nwet = 1\n'
    inner = "".join(
        LSTM.replace("[[effect]]", "[[effect.effect]]").replace("lstm", str(index))
        for index in range(60)
    )
    assert preset(folder, group + inner).chain.nodes
    more = inner + "".join(LSTM.replace("lstm", str(index)) for index in range(60, 63))
    assert preset(folder, group + more).chain.nodes
    all_files = "".join(LSTM.replace("lstm", str(index)) for index in range(60, 70))
    with pytest.raises(ModelFormatError, match="number of files"):
        preset(folder, group + inner + all_files)


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"hello", b"[1, 2]", b"\xff\xfe{}"])
def test_files_of_no_known_kind_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "what"
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match=r"of no known kind: give a \.nam"):
        load_model_spec(path)


def test_kinds_are_told_by_content(tmp_path: Path) -> None:
    model = as_model(mono_networks()["gated"])
    for data in (write_nam(model), write_flat(model), b"  \n" + write_nam(model)):
        path = tmp_path / "anything.dat"
        path.write_bytes(data)
        assert write_flat(load_model_spec(path)) == write_flat(model)
    with pytest.raises(OSError, match="absent"):
        load_model_spec(tmp_path / "absent")


def test_only_whole_networks_are_written_as_nam() -> None:
    with pytest.raises(ValueError, match="holds exactly one network, this chain has Gain, Gain"):
        write_nam(ModelSpec(ChainSpec((GainSpec(), GainSpec()))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a" + ".a" * 300_000 + " = 1", "over 16 parts", id="dotted key"),
        pytest.param("[a" + ' . "b"' * 100_000 + "]", "over 16 parts", id="dotted table"),
        pytest.param("a" * 1_000_000, "not valid TOML", id="one long key"),
        pytest.param("sample_rate_hz = " + "9" * 100_000, "not valid TOML", id="digits"),
    ],
)
def test_a_text_that_would_take_the_parser_for_ever_is_refused(
    folder: Path, text: str, said: str
) -> None:
    with pytest.raises(ModelFormatError, match=said) as caught:
        preset(folder, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_nam_file_with_a_byte_order_mark_is_read(folder: Path) -> None:
    marked = folder / "marked.nam"
    marked.write_bytes(b"\xef\xbb\xbf" + (folder / "lstm.nam").read_bytes())
    plain = write_flat(load_model_spec(folder / "lstm.nam"))
    assert write_flat(load_model_spec(marked))[128:] == plain[128:]
