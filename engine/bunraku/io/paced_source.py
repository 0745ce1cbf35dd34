"""A source whose pictures are made, not captured: one falls due each period."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

from bunraku.io.video_source import Put, VideoSource
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.video_frame import Pixels, VideoFrame


class PacedSource(VideoSource):
    """Frame k falls due k periods after `started_ns`, and carries that as its time. One that could
    not be made before the next falls due is dropped, its number left out."""

    started_ns = 0

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        self.started_ns = time.monotonic_ns()
        number = 0
        while not stopping.is_set():
            due_ns = self.due_ns(number)
            now_ns = time.monotonic_ns()
            if due_ns > now_ns and stopping.wait((due_ns - now_ns) / NS_PER_S):
                return
            put(VideoFrame(self.picture(number, due_ns), due_ns, number))
            late = int((time.monotonic_ns() - self.started_ns) * self.rate_hz / NS_PER_S)
            following = max(number + 1, late)
            self.dropped += following - number - 1
            number = following

    def due_ns(self, number: int) -> int:
        return self.started_ns + round(number * NS_PER_S / self.rate_hz)

    @abstractmethod
    def picture(self, number: int, time_ns: int) -> Pixels:
        """A new uint8 [height, width, 3] for this frame."""
