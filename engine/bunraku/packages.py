"""Packages that only some of bunraku needs, imported on first use, with the remedy where one is
missing."""

from __future__ import annotations

import importlib
from typing import Any

from bunraku.errors import MissingDependencyError


def package(module: str, name: str, purpose: str, extra: str) -> Any:
    """The imported module. Raises MissingDependencyError: `purpose` needs the package `name`, and
    which extra of ours brings it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"{purpose} needs the package '{name}' ({error}): pip install 'bunraku[{extra}]'"
        ) from error


def opencv(purpose: str = "pictures") -> Any:
    """cv2, with one thread: a core is left to the sound."""
    cv2 = package("cv2", "opencv-contrib-python", purpose, "video")
    cv2.setNumThreads(1)
    return cv2


def pyav(purpose: str) -> Any:
    return package("av", "av", purpose, "video")
