"""The native core against the expected outputs, at every instruction set, path and partition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bunraku.formats.flat import write_flat
from bunraku.formats.nam import read_nam
from nam_files import NAM_FOLDER, each_nam_file
from numpy.typing import NDArray

native = pytest.importorskip("bunraku._native", reason="the native core is not built")

TOLERANCE = 2e-5  # of the expected peak
STREAMED_TOLERANCE = 1e-5
FLOAT64_TOLERANCE = 1e-5
LONGEST_BLOCK = 512

each_path = pytest.mark.parametrize("force_general", [False, True], ids=["fast", "general"])
each_isa = pytest.mark.parametrize("isa", native.isa_list().split(","))


def load(nam_path: Path, isa: str, force_general: bool) -> native.Model:
    flat = write_flat(read_nam(nam_path))
    return native.Model(flat, isa=isa, force_general=force_general)


def signal() -> NDArray[np.float32]:
    return np.load(NAM_FOLDER / "input.npy").astype(np.float32)


def partition(kind: int | str, frames: int) -> Iterator[int]:
    """Block lengths that add up to `frames`: all `kind` long, or random ones."""
    rng = np.random.default_rng(20)
    while frames > 0:
        block = int(rng.integers(1, LONGEST_BLOCK + 1)) if isinstance(kind, str) else kind
        yield min(block, frames)
        frames -= block


def play(model: native.Model, x: NDArray[np.float32], kind: int | str) -> NDArray[np.float32]:
    stream = native.Stream(model, max_block_frames=LONGEST_BLOCK)
    blocks, at = [], 0
    for frames in partition(kind, len(x)):
        blocks.append(stream.process(x[None, at : at + frames])[0])
        at += frames
    return np.concatenate(blocks)


@each_nam_file
@each_path
@each_isa
@pytest.mark.parametrize("kind", [1, 16, 64, 100, 512, "random"])
def test_sounds_as_expected(nam_path: Path, force_general: bool, isa: str, kind: int | str) -> None:
    expected = np.load(NAM_FOLDER / f"{nam_path.stem}.expected.npy").astype(np.float64)
    y = play(load(nam_path, isa, force_general), signal(), kind)
    assert np.abs(y - expected).max() <= TOLERANCE * np.abs(expected).max()


@each_nam_file
@each_path
@each_isa
def test_streamed_equals_whole(nam_path: Path, force_general: bool, isa: str) -> None:
    model = load(nam_path, isa, force_general)
    x = signal()
    whole = native.Stream(model, max_block_frames=8192).process(x[None, :8192])[0]
    for kind in (1, 37, "random"):
        streamed = play(model, x[:8192], kind)
        assert np.abs(streamed - whole).max() <= STREAMED_TOLERANCE


@each_nam_file
@each_path
@each_isa
def test_reset_equals_fresh(nam_path: Path, force_general: bool, isa: str) -> None:
    stream = native.Stream(load(nam_path, isa, force_general))
    x = signal()[None, :3000]
    first = stream.process(x)
    stream.reset()
    np.testing.assert_array_equal(stream.process(x), first)


@each_path
@each_isa
@pytest.mark.skipif(not NAM_FOLDER.is_dir(), reason="needs ../shared/data")
def test_standard_against_float64(force_general: bool, isa: str) -> None:
    torch = pytest.importorskip("torch", reason="the float64 reference needs torch")
    from bunraku.models.build import build_model

    nam_path = NAM_FOLDER / "wavenet_a1_standard.nam"
    x = signal()
    with torch.no_grad():
        reference = build_model(read_nam(nam_path)).double()
        exact = reference(torch.from_numpy(x).double()[None, None])[0, 0].numpy()
    y = play(load(nam_path, isa, force_general), x, 64)
    assert np.abs(y - exact).max() <= FLOAT64_TOLERANCE
