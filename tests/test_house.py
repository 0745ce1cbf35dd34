"""The rules of the house: who may import whom, and what `import bunraku` may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import bunraku
import pytest

ENGINE = Path(__file__).parent.parent / "engine" / "bunraku"
CSRC = Path(__file__).parent.parent / "csrc"

GROUND = {
    "errors",
    "packages",
    "streaming",
    "formats",
    "weights",
    "samples",
    "presets",
    "_native",
}
MAY_IMPORT = {
    "errors": set(),
    "packages": {"errors"},
    "streaming": GROUND,
    "formats": GROUND,
    "weights": GROUND,
    "samples": GROUND,
    "presets": GROUND,
    "models": GROUND,
    "effects": GROUND | {"models"},
    "synthesis": GROUND | {"models"},
    "io": GROUND,
    "scheduler": GROUND,
    "provenance": GROUND,
    "session": GROUND | {"io", "scheduler", "effects", "synthesis", "provenance"},
    "measure": GROUND | {"session", "io", "scheduler", "effects", "synthesis", "models"},
    "training": GROUND | {"session", "io", "scheduler", "effects", "synthesis", "models"},
    "serving": GROUND | {"session", "io", "scheduler", "effects", "synthesis", "measure"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT) | GROUND
# The ground stays light: of it, only the base class of the PyTorch references may need torch.
TORCH_ALLOWED = {"models", "training", "streaming/module.py", "streaming/state.py"}


def python_files() -> list[Path]:
    return sorted(p for p in ENGINE.rglob("*.py"))


def room_of(path: Path) -> str:
    relative = path.relative_to(ENGINE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_modules(path: Path) -> list[str]:
    """Absolute dotted names of every import in the file, wherever it stands."""
    package = ["bunraku", *path.relative_to(ENGINE).parent.parts]
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], base]).rstrip(".")
            names += [f"{base}.{alias.name}" if base == "bunraku" else base for alias in node.names]
    return names


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ENGINE)))
def test_imports_only_rooms_below(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in MAY_IMPORT, (
        f"a new room '{room}': give it a floor here and in docs/architecture.md"
    )
    for name in imported_modules(path):
        parts = name.split(".")
        if parts[0] != "bunraku" or len(parts) < 2 or parts[1] in {"__version__", room}:
            continue
        assert parts[1] in MAY_IMPORT[room], f"{room} must not import {name}"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ENGINE)))
def test_torch_stays_in_its_rooms(path: Path) -> None:
    relative = str(path.relative_to(ENGINE))
    if room_of(path) in TORCH_ALLOWED or relative in TORCH_ALLOWED:
        return
    heavy = {name.split(".")[0] for name in imported_modules(path)} & {"torch", "lightning"}
    assert not heavy, f"{relative} imports {heavy}"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ENGINE)))
def test_opencv_comes_from_packages(path: Path) -> None:
    """There it gets one thread, and one that is missing an error with the remedy. Training has a
    machine to itself."""
    if room_of(path) != "training":
        assert "cv2" not in {name.split(".")[0] for name in imported_modules(path)}
        assert path.name == "packages.py" or "setNumThreads" not in path.read_text()


def test_native_core_knows_neither_python_nor_torch() -> None:
    for path in [*(CSRC / "core").iterdir(), *(CSRC / "capi").iterdir()]:
        text = path.read_text()
        for forbidden in ("Python.h", "pybind11", "torch/", "portaudio.h"):
            assert f"#include <{forbidden}" not in text, f"{path.name} includes {forbidden}"
            assert f'#include "{forbidden}' not in text, f"{path.name} includes {forbidden}"
    for path in (CSRC / "core").iterdir():
        assert '"capi/' not in path.read_text(), f"core/{path.name} must not know the C ABI's home"


def test_import_needs_numpy_alone() -> None:
    """`import bunraku` pulls in no optional package (its time is in benchmarks/import_time.py)."""
    code = (
        "import sys, bunraku\n"
        "heavy = {'torch', 'lightning', 'typer', 'rich', 'pydantic', 'sounddevice', 'soundfile',"
        " 'soxr', 'matplotlib', 'scipy', 'cffi', 'cv2', 'av', 'mediapipe', 'openvino'}"
        " & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ENGINE.parent)})


def test_no_file_is_named_utils() -> None:
    assert not [p for p in python_files() if p.stem in {"utils", "helpers", "misc", "common"}]


@pytest.mark.parametrize("name", [n for n in bunraku.__all__ if n != "__version__"])
def test_every_public_name_is_at_home(name: str) -> None:
    assert getattr(bunraku, name).__module__.startswith("bunraku.")
