"""Shows finished frames to the sinks, at once or as much later as a slower voice asks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bunraku.streaming.video_frame import VideoFrame

MOST_HELD_BYTES = 256 << 20
"""Half a second of 720p at 185 Hz, or of 1080p at 82."""
LEAST_HELD_FRAMES = 4
JOIN_TIMEOUT_S = 1.5


@dataclass(frozen=True)
class Held:
    due_ns: int
    frame: VideoFrame


class Presenter:
    """`show` hands a frame on after `delay_ns`, from a thread of its own; without delay at once,
    from the caller's. One frame is handed on at a time, in the order of `show`.

    What is held takes at most `most_bytes`; beyond that frames are left out, evenly, so that the
    picture goes on at a lower rate. on_error: told what `hand_on` raised on the thread; on the
    caller's it is the caller's.

    dropped: frames that were left out, or came after `stop`; failed: at which `hand_on` raised on
    the thread. Those that were made up count in neither.
    """

    def __init__(
        self,
        hand_on: Callable[[VideoFrame], None],
        on_error: Callable[[Exception], None],
        *,
        most_bytes: int = MOST_HELD_BYTES,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._hand_on = hand_on
        self._on_error = on_error
        self._most_bytes = most_bytes
        self._now_ns = now_ns
        self._changed = threading.Condition()
        self._held: deque[Held] = deque()
        self._held_bytes = 0
        self._delay_ns = 0
        self._under_way = False  # a frame is being handed on
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.dropped = self.failed = 0

    def set_delay(self, delay_ns: int) -> None:
        """For the frames from now on."""
        with self._changed:
            self._delay_ns = delay_ns

    def show(self, frame: VideoFrame, later_ns: int = 0) -> None:
        """later_ns: beside the delay, for this frame alone."""
        with self._changed:
            if self._stopped:
                self.dropped += not frame.interpolated
                return
            delay_ns = self._delay_ns + later_ns
            if delay_ns > 0 or self._held or self._under_way:
                self._hold(Held(self._now_ns() + delay_ns, frame))
                return
            self._under_way = True
        try:
            self._hand_on(frame)
        finally:
            self._finish()

    def hand_on_due(self) -> None:
        """What has fallen due, one after the other, unless another thread is at it."""
        while (frame := self._take_due()) is not None:
            try:
                self._hand_on(frame)
            except Exception as error:
                self.failed += not frame.interpolated
                with suppress(Exception):  # who is told and fails has nobody left to tell
                    self._on_error(error)
            finally:
                self._finish()

    def stop(self) -> None:
        """What is still held is handed on now, for a recording would lack it. Idempotent."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_TIMEOUT_S)

    # ---- what is held ---------------------------------------------------------------------------

    def _hold(self, held: Held) -> None:
        self._held.append(held)
        self._held_bytes += held.frame.pixels.nbytes
        while self._held_bytes > self._most_bytes and len(self._held) > LEAST_HELD_FRAMES:
            self._leave_one_out()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bunraku-presenter", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _leave_one_out(self) -> None:
        """The one whose neighbours are nearest to each other in time. Never the next, or none would
        ever be shown."""
        due_ns = [held.due_ns for held in self._held]
        least = min(range(1, len(due_ns) - 1), key=lambda k: due_ns[k + 1] - due_ns[k - 1])
        frame = self._held[least].frame
        del self._held[least]
        self._held_bytes -= frame.pixels.nbytes
        self.dropped += not frame.interpolated

    def _take_due(self) -> VideoFrame | None:
        with self._changed:
            if self._left_ns() != 0:
                return None
            self._under_way = True
            frame = self._held.popleft().frame
            self._held_bytes -= frame.pixels.nbytes
            return frame

    def _left_ns(self) -> int | None:
        """Until a frame may be handed on; None: not before something changes."""
        if not self._held or self._under_way:
            return None
        return 0 if self._stopped else max(0, self._held[0].due_ns - self._now_ns())

    def _finish(self) -> None:
        with self._changed:
            self._under_way = False
            self._changed.notify_all()

    # ---- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait_for_due():
            self.hand_on_due()

    def _wait_for_due(self) -> bool:
        """False: stopped, and nothing is held."""
        with self._changed:
            while self._held or not self._stopped:
                left_ns = self._left_ns()
                if left_ns == 0:
                    return True
                self._changed.wait(None if left_ns is None else left_ns / 1e9)
            return False
