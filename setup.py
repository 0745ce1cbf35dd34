"""Build of the native part: CMake makes it, setuptools carries it.

`engine/` and `kernels/` hold uniquely named packages, mapped here.
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


class CMakeBuild(build_ext):
    """Build `bunraku._native` and the C library, and lay both into the package."""

    def build_extension(self, ext: Extension) -> None:
        module_path = Path(self.get_ext_fullpath(ext.name)).resolve()
        build_dir = Path(self.build_temp).resolve()
        build_dir.mkdir(parents=True, exist_ok=True)
        import pybind11

        configure = [
            "cmake",
            "-S", str(ROOT),
            "-B", str(build_dir),
            "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUNRAKU_VERSIONED_LIBRARY=OFF",  # a wheel holds no links
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ]  # fmt: skip
        subprocess.run(configure, check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        targets = ["--target", "_native", "bunraku"]
        subprocess.run(["cmake", "--build", str(build_dir), "-j", jobs, *targets], check=True)

        package = module_path.parent
        package.mkdir(parents=True, exist_ok=True)
        for built in build_dir.glob("_native*"):
            if built.suffix in {".so", ".pyd"}:
                shutil.copy2(built, module_path)
        library_dir = package / "lib"
        library_dir.mkdir(exist_ok=True)
        for stale in library_dir.glob("*bunraku*"):
            stale.unlink()
        for library in build_dir.glob("*bunraku.*"):
            if library.suffix in {".so", ".dylib", ".dll", ".lib"}:
                shutil.copy2(library, library_dir / library.name)
        include_dir = package / "include" / "bunraku"
        include_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / "csrc/include/bunraku/bunraku.h", include_dir / "bunraku.h")


setup(
    packages=find_packages("engine"),
    package_dir={"": "engine"},
    package_data={
        "bunraku": [
            "py.typed",
            "_native.pyi",
            "weights/**/*",
            "samples/**/*",
            "lib/*",
            "include/**/*",
        ]
    },
    ext_modules=[Extension("bunraku._native", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
)
