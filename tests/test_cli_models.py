"""`bunraku export` and `bunraku inspect`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bunraku.cli import main
from bunraku.cli.inspect import inspect_model
from bunraku.formats.flat import write_flat
from bunraku.formats.flat_reader import parse_flat
from bunraku.formats.nam_writer import write_nam
from bunraku.formats.specs import LstmSpec, SlimmableSpec
from small_specs import as_model, mono_networks

pytest.importorskip("typer")

NETWORKS = mono_networks()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main.run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


@pytest.fixture
def nam(tmp_path: Path) -> Path:
    path = tmp_path / "slim.nam"
    path.write_bytes(write_nam(as_model(NETWORKS["slimmable"])))
    return path


def test_export_writes_the_flat_file(nam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = nam.with_suffix(".bnk")
    code, out, _ = run(capsys, "export", nam, target, "--json")
    assert code == 0
    assert json.loads(out)["bytes"] == target.stat().st_size
    assert isinstance(parse_flat(target.read_bytes()).chain.nodes[0], SlimmableSpec)
    assert sorted(p.name for p in nam.parent.iterdir()) == ["slim.bnk", "slim.nam"]


def test_export_of_one_size(nam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = nam.with_suffix(".bnk")
    assert run(capsys, "export", nam, target, "--size", "0.2")[0] == 0
    assert isinstance(parse_flat(target.read_bytes()).chain.nodes[0], LstmSpec)
    code, _, err = run(capsys, "export", nam, nam.parent / "other.bnk", "--size", "1.5")
    assert code == 2
    assert "give 0 to 1" in err


def test_export_overwrites_only_when_told(nam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = nam.with_suffix(".bnk")
    target.write_bytes(b"precious")
    code, _, err = run(capsys, "export", nam, target)
    assert code == 2
    assert "--force" in err
    assert target.read_bytes() == b"precious"
    assert run(capsys, "export", nam, target, "--force")[0] == 0
    assert target.read_bytes().startswith(b"BUNRAKU\n")


def test_a_failed_export_leaves_nothing(
    nam: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "disk")

    monkeypatch.setattr(os, "replace", full)
    target = nam.with_suffix(".bnk")
    code, _, err = run(capsys, "export", nam, target)
    assert code == 2
    assert "No space left" in err
    assert [p.name for p in nam.parent.iterdir()] == ["slim.nam"]


@pytest.mark.parametrize("command", ["export", "inspect"])
def test_bad_files_give_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bad = tmp_path / "bad.nam"
    bad.write_text('{"version": "0.8.0", "architecture": "LSTM", "config": {}, "weights": []}')
    target = [tmp_path / "x.bnk"] if command == "export" else []
    code, _, err = run(capsys, command, bad, *target)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "version is '0.8.0': read are 0.5.0 to 0.7.x; update bunraku" in err
    code, _, err = run(capsys, command, tmp_path / "absent.nam", *target)
    assert code == 2
    assert "absent.nam" in err


@pytest.mark.parametrize("name", NETWORKS)
def test_inspect_reports_every_network(name: str) -> None:
    report = inspect_model(as_model(NETWORKS[name]))
    (network,) = report["chain"]
    assert report["flat_bytes"] == len(write_flat(as_model(NETWORKS[name])))
    assert network["weights"] > 0
    assert network["flop_per_frame"] > 0
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    if report["native"] is not None:
        assert "error" not in report["native"]


def test_inspect_prints_a_table(nam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = nam.parent / "chain.toml"
    preset.write_text(
        'sample_rate_hz = 44100\n[[effect]]\ntype = "gain"\ngain_db = 3\n'
        '[[effect]]\ntype = "mix"\nwet = 0.5\n'
        '[[effect.effect]]\ntype = "model"\nfile = "slim.nam"\n'
    )
    code, out, _ = run(capsys, "inspect", preset)
    assert code == 0
    for text in ("gain 3 dB", "mix, 50% wet", "at 48,000 Hz", "2 sizes", "receptive field"):
        assert text in out
    code, out, _ = run(capsys, "inspect", preset, "--json")
    assert code == 0
    assert json.loads(out)["chain"][1]["chain"][0]["type"] == "rate"


def test_a_name_of_the_pack_is_a_model_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["inspect", "radio"],
        ["export", "radio", tmp_path / "radio.bnk"],
        ["bench", "radio", "--seconds", "0.02"],
    ):
        code, out, err = run(capsys, *arguments, "--json")
        assert code == 0, err
        assert json.loads(out)
    assert (tmp_path / "radio.bnk").is_file()
