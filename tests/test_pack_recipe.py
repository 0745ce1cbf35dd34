"""How the default pack is made: the split of prompts, the signals, the command's errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bunraku import weights
from bunraku.errors import MediaError, UserInputError
from bunraku.training import pack_data
from bunraku.training.pack_recipe import find_circuit
from bunraku.training.pack_sources import CIRCUITS, EXCLUDED_PROMPTS, SPEECH


def test_takes_of_one_sentence_stay_together_and_one_speaker_is_test_only() -> None:
    allison, june = SPEECH[0], SPEECH[-1]
    takes = [Path(f"conf-usermenu{tail}.g722") for tail in ("", "-162", "-a", "-b", "-long-one")]
    assert len({pack_data.part_of(allison, take) for take in takes}) == 1
    assert june.held_out
    assert {pack_data.part_of(june, Path(f"{k}.g722")) for k in range(50)} == {"test"}


def test_split_shares_and_exclusion(tmp_path: Path) -> None:
    package = SPEECH[0]
    folder = pack_data.prompt_folder(tmp_path, package)
    folder.mkdir(parents=True)
    for name in [*(f"prompt{k}" for k in range(400)), *EXCLUDED_PROMPTS]:
        (folder / f"{name}.g722").write_bytes(bytes(pack_data.PROMPT_BYTES_MIN))
    (folder / "short.g722").write_bytes(bytes(100))
    parts = {p: pack_data.prompts_of(tmp_path, package, p) for p in ("train", "validation", "test")}
    found = [path.stem for paths in parts.values() for path in paths]
    assert len(found) == len(set(found)) == 400
    assert not EXCLUDED_PROMPTS & set(found)
    assert 0.6 < len(parts["train"]) / 400 < 0.8
    assert 0.12 < len(parts["test"]) / 400 < 0.28


def test_widened_speech_keeps_what_it_had_and_gains_treble() -> None:
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.standard_normal(48_000))
    hz = np.fft.rfftfreq(48_000, 1 / 48_000)
    narrow = np.fft.irfft(spectrum * (hz < 7500)).astype(np.float32) * 0.1
    wide = np.abs(np.fft.rfft(pack_data.widen(narrow, random))) ** 2
    before = np.abs(np.fft.rfft(narrow)) ** 2
    assert wide[hz < 7000].sum() == pytest.approx(before[hz < 7000].sum(), rel=1e-3)
    assert wide[hz > 9000].sum() > 100 * before[hz > 9000].sum()


def test_excitation_stays_below_full_scale() -> None:
    x = pack_data.excitation(0)
    assert x.dtype == np.float32
    assert 0.5 < np.abs(x).max() < 1.0


def test_a_changed_package_is_refused(tmp_path: Path) -> None:
    package = SPEECH[0]
    (tmp_path / "packages").mkdir()
    archive = tmp_path / "packages" / f"{package.name}_{package.version}_all.deb"
    archive.write_bytes(b"something else")
    with pytest.raises(MediaError, match="SHA-256"):
        pack_data.fetch_speech(tmp_path)


def test_every_shipped_effect_has_its_circuit() -> None:
    assert set(weights.names()) == {circuit.name for circuit in CIRCUITS}
    with pytest.raises(UserInputError, match="radio"):
        find_circuit("none")


def test_command_reports_errors_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("typer", reason="the command line needs typer")
    pytest.importorskip("lightning", reason="training needs lightning")
    from bunraku.cli.main import run

    for line in (
        "train effect --dry none.wav --wet none.wav --out nowhere",
        "train effect --dry none.wav --wet none.wav --out nowhere --architecture huge",
        "train pack --work nowhere --only none",
    ):
        with pytest.raises(SystemExit) as caught:
            run(line.split())
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("bunraku: ")
        assert error.count("\n") == 1
    assert not Path("nowhere").exists()
