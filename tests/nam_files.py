"""Where the `.nam` files with expected outputs lie, and how tests skip without them."""

from __future__ import annotations

from pathlib import Path

import pytest

NAM_FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "nam"
NAM_PATHS = sorted(NAM_FOLDER.glob("*.nam")) if NAM_FOLDER.is_dir() else []

each_nam_file = pytest.mark.parametrize(
    "nam_path",
    NAM_PATHS
    or [
        pytest.param(
            None,
            marks=pytest.mark.skip(reason="no .nam files with expected outputs (../shared/data)"),
        )
    ],
    ids=lambda path: path.stem if path else "absent",
)
