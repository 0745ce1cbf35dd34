"""Build of the native parts: CMake makes them, setuptools carries them.

`engine/` and `kernels/` hold uniquely named packages, mapped here. BUNRAKU_CUDA=1 builds the CUDA
operators, 0 leaves them out; unset, they are built where nvcc and an NVIDIA GPU are at hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


def wants_cuda() -> bool:
    wish = os.environ.get("BUNRAKU_CUDA", "")
    if wish not in {"", "0", "1"}:
        sys.exit(f"BUNRAKU_CUDA is '{wish}': say 0 or 1, or leave it unset")
    if wish:
        return wish == "1"
    return shutil.which("nvcc") is not None and Path("/dev/nvidiactl").exists()


# Extension to its CMake target and what that makes, below the build folder.
TARGETS = {
    "bunraku._native": ("_native", "."),
    "bunraku_kernels._native": ("kernels_native", "bunraku_kernels"),
}
if wants_cuda():
    TARGETS["bunraku_kernels._cuda"] = ("kernels_cuda", "bunraku_kernels")


class CMakeBuild(build_ext):
    """Build all modules and the C library, and lay them into their packages."""

    def run(self) -> None:
        self.build_dir = Path(self.build_temp).resolve()
        self.build_dir.mkdir(parents=True, exist_ok=True)
        import pybind11

        configure = [
            "cmake",
            "-S", str(ROOT),
            "-B", str(self.build_dir),
            "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUNRAKU_VERSIONED_LIBRARY=OFF",  # a wheel holds no links
            f"-DBUNRAKU_CUDA={'ON' if wants_cuda() else 'OFF'}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ]  # fmt: skip
        subprocess.run(configure, check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        targets = ["--target", "bunraku", *(target for target, _ in TARGETS.values())]
        subprocess.run(["cmake", "--build", str(self.build_dir), "-j", jobs, *targets], check=True)
        super().run()

    def build_extension(self, ext: Extension) -> None:
        module_path = Path(self.get_ext_fullpath(ext.name)).resolve()
        module_path.parent.mkdir(parents=True, exist_ok=True)
        stem = ext.name.rsplit(".", 1)[-1]
        for built in (self.build_dir / TARGETS[ext.name][1]).glob(f"{stem}.*"):
            if built.suffix in {".so", ".pyd"}:
                shutil.copy2(built, module_path)
        if ext.name == "bunraku._native":
            self.lay_c_library(module_path.parent)

    def lay_c_library(self, package: Path) -> None:
        library_dir = package / "lib"
        library_dir.mkdir(exist_ok=True)
        for stale in library_dir.glob("*bunraku*"):
            stale.unlink()
        for library in self.build_dir.glob("*bunraku.*"):
            if library.suffix in {".so", ".dylib", ".dll", ".lib"}:
                shutil.copy2(library, library_dir / library.name)
        include_dir = package / "include" / "bunraku"
        include_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / "csrc/include/bunraku/bunraku.h", include_dir / "bunraku.h")


setup(
    packages=find_packages("engine") + find_packages("kernels"),
    package_dir={"bunraku": "engine/bunraku", "bunraku_kernels": "kernels/bunraku_kernels"},
    package_data={
        "bunraku": [
            "py.typed",
            "_native.pyi",
            "weights/**/*",
            "samples/**/*",
            "lib/*",
            "include/**/*",
        ],
        "bunraku_kernels": ["py.typed", "*.pyi"],
    },
    ext_modules=[Extension(name, sources=[]) for name in TARGETS],
    cmdclass={"build_ext": CMakeBuild},
)
