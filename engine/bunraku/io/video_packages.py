"""The packages that video needs, imported on first use."""

from __future__ import annotations

import importlib
from typing import Any

from bunraku.errors import MissingDependencyError

VIDEO_EXTRA = "pip install 'bunraku[video]'"


def video_package(module: str, package: str, purpose: str) -> Any:
    """The imported module. Raises MissingDependencyError: `purpose` needs `package`, and the way
    to install it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"{purpose} needs the package '{package}' ({error}): {VIDEO_EXTRA}"
        ) from error


def opencv(purpose: str) -> Any:
    return video_package("cv2", "opencv-contrib-python", purpose)


def pyav(purpose: str) -> Any:
    return video_package("av", "av", purpose)
