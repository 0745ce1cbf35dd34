"""What a stranger installs: the sdist builds, the wheel carries everything and stands alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.timeout(1200)  # it compiles the whole core, perhaps on a busy machine


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the sdist, as `python -m build` does it, without fetching anything."""
    out = tmp_path_factory.mktemp("dist")
    bin_dir = str(Path(sys.executable).parent)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        env={**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )
    assert list(out.glob("bunraku-*.tar.gz"))
    return next(out.glob("bunraku-*.whl"))


@pytest.mark.slow
def test_wheel_carries_library_header_pack_and_sample(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for pattern in (
        r"bunraku/_native\..*so",
        r"bunraku/lib/libbunraku\.so.*",
        r"bunraku/include/bunraku/bunraku\.h",
        r"bunraku/weights/\w+\.nam",
        r"bunraku/weights/\w+\.md",
        r"bunraku/samples/.*\.(flac|wav)",
        r"bunraku/py\.typed",
        r"bunraku_kernels/_native\..*so",
        r"bunraku_kernels/bias_act/op\.py",
        r"bunraku_kernels/py\.typed",
    ):
        assert any(re.fullmatch(pattern, name) for name in names), f"no {pattern} in {names}"
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "csrc"))]
    sources = r".*\.(c|h|cpp|hpp|inl|cu|cuh)"
    packed = [name for name in names if re.fullmatch(sources, name)]
    assert packed == ["bunraku/include/bunraku/bunraku.h"]


@pytest.mark.slow
def test_sdist_carries_the_sources_of_every_operator(wheel: Path) -> None:
    sdist = next(wheel.parent.glob("bunraku-*.tar.gz"))
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("csrc", "kernels", "cmake"):
        kept = {f"{p.relative_to(ROOT)}" for p in (ROOT / folder).rglob("*.*") if p.is_file()}
        built = (".so", ".pyc")
        kept = {name for name in kept if not name.endswith(built) and "cache" not in name}
        assert kept <= names, sorted(kept - names)
    assert not [name for name in names if "cache" in name or name.endswith(".so")]


@pytest.mark.slow
def test_wheel_works_with_numpy_alone(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True)
    code = f"""
import importlib.abc, sys
class NumpyAlone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {{'torch', 'typer', 'rich', 'pydantic', 'soundfile', 'scipy'}}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NumpyAlone())
import numpy as np, bunraku
from bunraku import _native
assert bunraku.__file__.startswith({str(site)!r}), bunraku.__file__
model = bunraku.load_model(bunraku.pack_names()[0])
stream = _native.Stream(model, max_block_frames=64)
out = stream.process(np.zeros((1, 64), np.float32))
assert out.shape == (1, 64) and np.isfinite(out).all()
"""
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_c_program_links_with_the_wheel_and_starts(wheel: Path, tmp_path: Path) -> None:
    """As docs/real-time-core.md says."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    package = tmp_path / "bunraku"
    program = tmp_path / "play_wav"
    flags = [f"-I{package}/include", f"-L{package}/lib", f"-Wl,-rpath,{package}/lib", "-lbunraku"]
    source = str(ROOT / "examples/c/play_wav.c")
    subprocess.run(["cc", "-std=c99", source, *flags, "-lm", "-o", str(program)], check=True)
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert "usage" in (ran.stdout + ran.stderr).lower(), ran


def test_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cmake = re.search(
        r"VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text().split("project(")[1]
    )
    package = re.search(r'__version__ = "(.*)"', (ROOT / "engine/bunraku/__init__.py").read_text())
    assert [project] == list({project, cmake and cmake[1], package and package[1]})
