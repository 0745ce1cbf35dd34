"""What the two MediaPipe models share: loading, and times that always rise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bunraku.effects.video.native_messages import without_messages
from bunraku.effects.video.profiling_signal import survive_profiling_signal
from bunraku.errors import ModelFormatError
from bunraku.packages import package
from bunraku.weights.fetched import FetchedModel, fetch

USUAL_PERIOD_MS = 33
GREETINGS = (
    "Created TensorFlow Lite XNNPACK delegate",
    "Logging before InitGoogle()",
    "inference_feedback_manager",
    "face_landmarker_graph",
)


def open_task(
    model: FetchedModel, make: Callable[[Any, Any], Any], ask: Callable[[Any, Any, int], object]
) -> Any:
    """`make(vision, base_options)` with MediaPipe's vision module and the model's bytes, asked once
    by `ask(task, image, time_ms)`: the first answer takes long.

    Raises MissingDependencyError without MediaPipe or the model, ModelFormatError where MediaPipe
    refuses the file.
    """
    survive_profiling_signal()
    purpose = "finding people and faces"
    vision = package("mediapipe.tasks.python.vision", "mediapipe", purpose, "video")
    base = package("mediapipe.tasks.python.core.base_options", "mediapipe", purpose, "video")
    options = base.BaseOptions(model_asset_buffer=fetch(model.name).read_bytes())
    try:
        with without_messages(GREETINGS):
            task = make(vision, options)
            ask(task, as_image(np.zeros((64, 64, 3), np.uint8)), 0)
            return task
    except (RuntimeError, ValueError) as error:
        raise ModelFormatError(f"MediaPipe refuses {model.name}: {error}") from error


def as_image(rgb: Any) -> Any:
    """uint8 [height, width, 3], red first, C-contiguous, as MediaPipe wants it."""
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)


class RisingMilliseconds:
    """MediaPipe demands whole milliseconds that rise from call to call. After a jump back, as where
    a file begins anew, they go on at the usual pace: its filters measure speed by them."""

    def __init__(self) -> None:
        self._last_ms = 0  # of the question with which the task was opened
        self._ahead_ms = 0

    def after(self, time_ns: int) -> int:
        now_ms = time_ns // 1_000_000 + self._ahead_ms
        if now_ms <= self._last_ms:
            wanted_ms = self._last_ms + USUAL_PERIOD_MS
            self._ahead_ms += wanted_ms - now_ms
            now_ms = wanted_ms
        self._last_ms = now_ms
        return now_ms
