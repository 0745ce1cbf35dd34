"""The PyTorch references against the outputs of the format's reference player."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from bunraku.formats.nam import read_nam
from bunraku.models.build import build_model
from nam_files import NAM_FOLDER, each_nam_file

TOLERANCE = 2e-5


@each_nam_file
def test_reference_sounds_as_expected(nam_path: Path) -> None:
    x = torch.from_numpy(np.load(NAM_FOLDER / "input.npy")).double()
    expected = np.load(NAM_FOLDER / f"{nam_path.stem}.expected.npy").astype(np.float64)
    module = build_model(read_nam(nam_path)).double()
    with torch.no_grad():
        y = module(x[None, None])[0, 0].numpy()
    assert np.abs(y - expected).max() <= TOLERANCE * np.abs(expected).max()
