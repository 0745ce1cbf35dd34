"""`bunraku bench`: what it reports and what it refuses. No figure is judged here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bunraku.errors import UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import (
    ChainSpec,
    ModelSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetSpec,
)
from small_specs import with_weights

native = pytest.importorskip("bunraku._native", reason="the native core is not built")
pytest.importorskip("typer", reason="the command line needs typer")

PROMISED = {
    "real_time_factor", "p50_us", "p99_us", "p99_9_us", "max_us", "gflops", "peak_gflops",
    "block_us", "blocks", "late_blocks",
    "fraction_of_peak", "isa", "model", "block_frames", "machine", "fast_path",
}  # fmt: skip


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    layers = (WaveNetLayerSpec(3, 1), WaveNetLayerSpec(3, 2))
    array = WaveNetArraySpec(1, 1, 4, 4, 1, layers)
    spec = with_weights(WaveNetSpec((array,), np.zeros(0, np.float32)))
    path = tmp_path / "small.bnk"
    path.write_bytes(write_flat(ModelSpec(ChainSpec((spec,)))))
    return path


@pytest.mark.parametrize("isa", native.isa_list().split(","))
def test_reports_what_it_promises(
    model_path: Path, isa: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from bunraku.cli.main import invoke

    arguments = ["bench", str(model_path), "--block", "32", "--isa", isa, "--seconds", "0.02"]
    assert invoke([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.keys() >= PROMISED
    assert (report["isa"], report["block_frames"], report["fast_path"]) == (isa, 32, True)
    assert report["model"] == "small.bnk"
    assert report["block_us"] == pytest.approx(32 / 48_000 * 1e6)
    assert 0 <= report["late_blocks"] <= report["blocks"]
    assert 0 < report["p50_us"] <= report["p99_us"] <= report["p99_9_us"] <= report["max_us"]
    assert report["gflops"] == pytest.approx(
        report["fraction_of_peak"] * report["peak_gflops"], rel=1e-6
    )
    assert invoke(arguments) == 0
    assert "real_time_factor" in capsys.readouterr().out


def test_refuses_a_bad_block_and_time(model_path: Path) -> None:
    from bunraku.measure.bench import bench_file

    with pytest.raises(UserInputError, match="block 0 is outside 1 to 8192"):
        bench_file(model_path, block_frames=0)
    with pytest.raises(UserInputError, match="-1 seconds is outside"):
        bench_file(model_path, seconds=-1)
    with pytest.raises(UserInputError, match="instruction set 'sse9' is not usable here: "):
        bench_file(model_path, isa="sse9")
    with pytest.raises(FileNotFoundError):
        bench_file(model_path.with_name("absent.nam"))


def test_every_block_is_timed(model_path: Path) -> None:
    stream = native.Stream(native.Model(model_path.read_bytes()), max_block_frames=64)
    spent = native.time_blocks(stream.address, np.zeros(1000, np.float32), 64)
    assert spent.shape == (15,)
    assert (spent > 0).all()
