"""Shows finished frames to the sinks, at once or as much later as a slower voice asks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from bunraku.streaming.video_frame import VideoFrame

MOST_HELD_FRAMES = 32


class Presenter:
    """`show` hands a frame on after `delay_ns`, from a thread of its own; without delay at once,
    from the caller's. Frames keep their order; when too many are held the oldest is dropped."""

    def __init__(self, hand_on: Callable[[VideoFrame], None]) -> None:
        self._hand_on = hand_on
        self._changed = threading.Condition()
        self._held: deque[tuple[int, VideoFrame]] = deque()
        self._delay_ns = 0
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def set_delay(self, delay_ns: int) -> None:
        """For the frames from now on."""
        with self._changed:
            self._delay_ns = delay_ns

    def show(self, frame: VideoFrame, later_ns: int = 0) -> None:
        """later_ns: beside the delay, for this frame alone."""
        with self._changed:
            delay_ns = self._delay_ns + later_ns
            at_once = delay_ns == 0 and not self._held
            if not at_once and not self._stopped:
                self._begin_thread()
                if len(self._held) == MOST_HELD_FRAMES:
                    self._held.popleft()
                    self.dropped += 1
                self._held.append((time.monotonic_ns() + delay_ns, frame))
                self._changed.notify()
        if at_once:
            self._hand_on(frame)

    def _begin_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bunraku-presenter", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """What is still held is not shown. Idempotent."""
        with self._changed:
            self._stopped = True
            self._held.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._held and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                due_ns, frame = self._held[0]
                left_ns = due_ns - time.monotonic_ns()
                if left_ns > 0:
                    self._changed.wait(left_ns / 1e9)
                    continue
                self._held.popleft()
            self._hand_on(frame)
