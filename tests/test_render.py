"""Rendering a file: the same length, aligned, at any rate, in any block, equal to the live path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gain_models import gain_bytes, resampling_bytes

soundfile = pytest.importorskip("soundfile")

from bunraku.errors import MediaError, UserInputError  # noqa: E402
from bunraku.session.render import render  # noqa: E402


def write_sine(path: Path, rate_hz: int, frames: int, channels: int = 1) -> np.ndarray:
    t = np.arange(frames) / rate_hz
    sides = [0.4 * np.sin(2 * np.pi * (300.0 + 100.0 * c) * t) for c in range(channels)]
    samples = np.stack(sides, axis=1).astype(np.float32)
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return samples


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_same_length_and_aligned(tmp_path: Path, rate_hz: int, channels: int) -> None:
    dry = write_sine(tmp_path / "in.wav", rate_hz, rate_hz, channels)
    report = render(tmp_path / "in.wav", tmp_path / "out.wav", gain_bytes(-6.0))
    wet, rate = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert rate == rate_hz
    assert wet.shape == dry.shape
    assert soundfile.info(tmp_path / "out.wav").subtype == "FLOAT"
    middle = slice(rate_hz // 10, -rate_hz // 10)
    np.testing.assert_allclose(wet[middle], dry[middle] * 10 ** (-6 / 20), atol=1e-3)
    assert (report.latency_frames == 0) == (rate_hz == 48_000)
    assert report.output_peak == pytest.approx(np.abs(wet).max())


@pytest.mark.parametrize("block_frames", [1, 64, 100, 8192])
def test_the_block_does_not_change_the_sound(tmp_path: Path, block_frames: int) -> None:
    write_sine(tmp_path / "in.wav", 44_100, 20_000)
    effects = ["noise_gate", "ring_modulator"]
    for name, block in (("a.wav", 512), ("b.wav", block_frames)):
        render(
            tmp_path / "in.wav",
            tmp_path / name,
            resampling_bytes(),
            block_frames=block,
            python_effects=effects,
        )
    a, b = (soundfile.read(tmp_path / name)[0] for name in ("a.wav", "b.wav"))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 5, 50, 300])
def test_files_shorter_than_the_latency(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "in.wav", np.full(frames, 0.5, np.float32), 44_100)
    report = render(
        tmp_path / "in.wav", tmp_path / "out.wav", gain_bytes(), python_effects=["noise_gate"]
    )
    assert report.latency_frames > 100
    assert soundfile.info(tmp_path / "out.wav").frames == frames


def test_an_empty_file_gives_an_empty_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros((0, 1), np.float32), 48_000)
    assert render(tmp_path / "in.wav", tmp_path / "out.wav", gain_bytes()).frames == 0
    assert soundfile.info(tmp_path / "out.wav").frames == 0


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    write_sine(tmp_path / "in.wav", 48_000, 40_000)
    seen: list[tuple[int, int]] = []
    render(
        tmp_path / "in.wav",
        tmp_path / "out.flac",
        gain_bytes(),
        on_progress=lambda done, whole: seen.append((done, whole)),
    )
    assert seen[-1] == (40_000, 40_000)
    assert len(seen) > 1


def test_what_cannot_be_rendered_says_why(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    write_sine(source, 48_000, 100)
    with pytest.raises(UserInputError, match="not overwritten"):
        render(source, source, gain_bytes())
    with pytest.raises(UserInputError, match="is the file to read"):
        render(source, source, gain_bytes(), overwrite=True)
    with pytest.raises(UserInputError, match="block_frames is 0"):
        render(source, tmp_path / "out.wav", gain_bytes(), block_frames=0)
    with pytest.raises(UserInputError, match="neither a file nor a model of the default pack"):
        render(source, tmp_path / "out.wav", "no-such-model")
    write_sine(tmp_path / "many.wav", 48_000, 100, channels=9)
    with pytest.raises(MediaError, match="9 channels"):
        render(tmp_path / "many.wav", tmp_path / "out.wav", gain_bytes())
    assert not (tmp_path / "out.wav").exists()


def test_what_is_not_finite_is_silence_and_no_peak(tmp_path: Path) -> None:
    samples = np.full((4800, 1), 0.25, np.float32)
    samples[1000], samples[2000], samples[3000] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "in.wav", samples, 48_000, subtype="FLOAT")
    report = render(tmp_path / "in.wav", tmp_path / "out.wav", gain_bytes(0.0))
    assert (report.input_peak, report.output_peak) == (0.25, 0.25)
    wet, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(wet, np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0))
