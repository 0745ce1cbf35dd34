"""The native tests, run through CTest, and the C example against the Python binding."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, GainSpec, ModelSpec

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUNRAKU_NATIVE_BUILD", "build/native")


def native_tool(name: str) -> Path:
    tool = BUILD / "tests" / "native" / name
    if not tool.exists():
        pytest.skip(f"the native tests are not built: `make test-native` builds {name}")
    return tool


def test_native_suite() -> None:
    native_tool("test_real_time")
    ctest = shutil.which("ctest")
    if ctest is None:
        pytest.skip("ctest is not on PATH: install cmake")
    command = [ctest, "--test-dir", str(BUILD), "--output-on-failure", "--timeout", "120"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def write_wav_16(path: Path, samples: np.ndarray, sample_rate_hz: int) -> None:
    data = np.round(samples.T * 32767).astype("<i2").tobytes()
    channels = samples.shape[0]
    form = struct.pack(
        "<HHIIHH", 1, channels, sample_rate_hz, sample_rate_hz * 2 * channels, 2 * channels, 16
    )
    body = (
        b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


@pytest.mark.parametrize("sample_rate_hz", [48_000, 44_100])
def test_c_example_plays(tmp_path: Path, sample_rate_hz: int) -> None:
    tool = native_tool("play_wav")
    model = write_flat(ModelSpec(ChainSpec((GainSpec(-6.0206),)), 48_000.0, "half"))
    (tmp_path / "half.bnk").write_bytes(model)
    t = np.arange(5000) / sample_rate_hz
    x = np.stack([0.8 * np.sin(2 * np.pi * 500 * t), 0.5 * np.sin(2 * np.pi * 900 * t)])
    write_wav_16(tmp_path / "in.wav", x, sample_rate_hz)
    paths = [str(tmp_path / name) for name in ("half.bnk", "in.wav", "out.wav")]
    subprocess.run([str(tool), *paths], check=True, timeout=60)
    out = (tmp_path / "out.wav").read_bytes()
    y = np.frombuffer(out[44:], "<f4").reshape(-1, 2).T
    assert y.shape == x.shape
    middle = slice(400, -400)  # the ends meet the silence around the file
    assert np.abs(y - 0.5 * x)[:, middle].max() < 1e-4


def test_c_example_refuses(tmp_path: Path) -> None:
    tool = native_tool("play_wav")
    (tmp_path / "junk").write_bytes(b"RIFF junk")
    command = [str(tool), str(tmp_path / "junk"), str(tmp_path / "junk"), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "WAV" in result.stderr
