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


CUDA_WISH = os.environ.get("BUNRAKU_CUDA", "")
if CUDA_WISH not in {"", "0", "1"}:
    sys.exit(f"BUNRAKU_CUDA is '{CUDA_WISH}': say 0 or 1, or leave it unset")
CUDA_AT_HAND = shutil.which("nvcc") is not None and Path("/dev/nvidiactl").exists()
TRIES_CUDA = CUDA_WISH == "1" or (CUDA_WISH == "" and CUDA_AT_HAND)

# Extension to its CMake target and what that makes, below the build folder.
TARGETS = {
    "bunraku._native": ("_native", "."),
    "bunraku_kernels._native": ("kernels_native", "bunraku_kernels"),
}
CUDA_EXTENSION = "bunraku_kernels._cuda"
CUDA_TARGET = ("kernels_cuda", "bunraku_kernels")


class CMakeBuild(build_ext):
    """Build all modules and the C library, and lay them into their packages."""

    def run(self) -> None:
        self.build_dir = Path(self.build_temp).resolve()
        self.build_dir.mkdir(parents=True, exist_ok=True)
        self.cmake("OFF", ["bunraku", *(target for target, _ in TARGETS.values())])
        if TRIES_CUDA:
            self.build_cuda()
        super().run()

    def build_cuda(self) -> None:
        """Where nobody asked for CUDA, an nvcc that fails must not keep the rest away."""
        try:
            self.cmake("ON", [CUDA_TARGET[0]])
        except subprocess.CalledProcessError:
            if CUDA_WISH == "1":
                raise
            self.warn("the CUDA operators did not build and are left out; BUNRAKU_CUDA=1 insists")
            self.extensions = [ext for ext in self.extensions if ext.name != CUDA_EXTENSION]

    def cmake(self, cuda: str, targets: list[str]) -> None:
        import pybind11

        configure = [
            "cmake",
            "-S", str(ROOT),
            "-B", str(self.build_dir),
            "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUNRAKU_VERSIONED_LIBRARY=OFF",  # a wheel holds no links
            f"-DBUNRAKU_CUDA={cuda}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ]  # fmt: skip
        subprocess.run(configure, check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        build = ["cmake", "--build", str(self.build_dir), "-j", jobs, "--target", *targets]
        subprocess.run(build, check=True)

    def build_extension(self, ext: Extension) -> None:
        module_path = Path(self.get_ext_fullpath(ext.name)).resolve()
        module_path.parent.mkdir(parents=True, exist_ok=True)
        stem = ext.name.rsplit(".", 1)[-1]
        folder = {**TARGETS, CUDA_EXTENSION: CUDA_TARGET}[ext.name][1]
        for built in (self.build_dir / folder).glob(f"{stem}.*"):
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
    include_package_data=False,  # else the wheel holds all that the sdist does: sources too
    package_data={
        "bunraku": [
            "py.typed",
            "_native.pyi",
            "weights/**/*",
            "samples/**/*",
            "presets/*.toml",
            "serving/page/**/*",
            "lib/*",
            "include/**/*",
        ],
        "bunraku_kernels": ["py.typed", "*.pyi"],
    },
    ext_modules=[
        Extension(name, sources=[])
        for name in [*TARGETS, *([CUDA_EXTENSION] if TRIES_CUDA else [])]
    ],
    cmdclass={"build_ext": CMakeBuild},
)
