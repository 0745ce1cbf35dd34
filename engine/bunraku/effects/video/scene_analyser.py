"""Makes the `Scene` of each frame: models are opened when an effect first asks, and their time is
counted apart from the effects'."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from bunraku.effects.video.face_tracking import FaceMeshTracker
from bunraku.effects.video.scene import Face, FaceTracker, Mask, Scene, Segmenter
from bunraku.effects.video.segmentation import PersonSegmenter
from bunraku.streaming.video_frame import VideoFrame

PERSON = "person"
FACES = "faces"
TIERS = ("every frame", "every second frame", "every third frame")


class SceneAnalyser:
    """One for each camera. `spent_ns` is what the analyses of the newest scene have taken so far,
    by name: "person", "faces"."""

    def __init__(
        self,
        segmenter: Segmenter | None = None,
        tracker: FaceTracker | None = None,
        max_faces: int = 1,
    ) -> None:
        self._segmenter = segmenter if segmenter is not None else PersonSegmenter()
        self._tracker = tracker if tracker is not None else FaceMeshTracker(max_faces)
        self.spent_ns: dict[str, int] = {}

    def prepare(self, needs: Iterable[str]) -> None:
        """Open the models for "person" and "faces" now rather than at the first frame that needs
        them. Raises BunrakuError with the remedy."""
        models: dict[str, Any] = {PERSON: self._segmenter, FACES: self._tracker}
        for need in needs:
            opening = getattr(models[need], "open", None)
            if opening is not None:
                opening()

    def set_tier(self, analysis: str, tier: int) -> None:
        """`tier` indexes `TIERS`; a model that knows no tiers stays as it is."""
        model = self._segmenter if analysis == PERSON else self._tracker
        if hasattr(model, "every"):
            model.every = tier + 1

    def scene(self, frame: VideoFrame) -> Scene:
        self.spent_ns = {}
        return Scene(frame, self._mask, self._faces)

    def _mask(self, frame: VideoFrame) -> Mask:
        with self._timed(PERSON):
            return self._segmenter.mask(frame)

    def _faces(self, frame: VideoFrame) -> tuple[Face, ...]:
        with self._timed(FACES):
            return self._tracker.faces(frame)

    @contextmanager
    def _timed(self, analysis: str) -> Iterator[None]:
        start_ns = time.monotonic_ns()
        try:
            yield
        finally:
            self.spent_ns[analysis] = time.monotonic_ns() - start_ns

    def reset(self) -> None:
        self._segmenter.reset()
        self._tracker.reset()

    def close(self) -> None:
        self._segmenter.close()
        self._tracker.close()
