"""OpenCV, loaded when first used, with one thread: a core is left to the sound."""

from __future__ import annotations

from functools import cache
from typing import Any

from bunraku.errors import MissingDependencyError


@cache
def opencv() -> Any:
    """The module cv2. Raises MissingDependencyError."""
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            "video effects need OpenCV: pip install 'bunraku[video]'"
        ) from error
    cv2.setNumThreads(1)
    return cv2
