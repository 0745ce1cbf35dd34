"""The two ends of a glass-to-glass measurement: a source whose frames say when they were captured,
and a sink that reads it back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bunraku.io.time_code import draw_time_code, read_time_code
from bunraku.io.video_source import Put, VideoSink, VideoSource
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.mailbox import Mailbox
from bunraku.streaming.video_frame import Pixels, VideoFrame

Read = Callable[[Pixels], tuple[int, int] | None]
WAIT_S = 0.1
TRUSTED_NS = 3600 * NS_PER_S
"""A code that says more than an hour ago, or a time to come, was not drawn by this measurement."""


class CodedSource(VideoSource):
    """Another source whose frames get their time of capture drawn in, over the top left."""

    def __init__(self, inner: VideoSource) -> None:
        self.inner = inner
        self.size, self.rate_hz = inner.size, inner.rate_hz

    def start(self, put: Put) -> None:
        def put_coded(frame: VideoFrame) -> None:
            pixels = frame.pixels.copy()
            draw_time_code(pixels, frame.time_ns, frame.number)
            put(frame.with_pixels(pixels))

        self.inner.start(put_coded)

    def stop(self) -> None:
        self.inner.stop()

    def follow(self, time_ns_of: Callable[[float], int]) -> None:
        self.inner.follow(time_ns_of)

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        raise AssertionError("the inner source delivers")

    ended = property(lambda self: self.inner.ended)
    error = property(lambda self: self.inner.error)
    dropped = property(lambda self: self.inner.dropped)
    corrupt = property(lambda self: self.inner.corrupt)


class ReadingSink(VideoSink):
    """Takes the time at which each frame is handed over, and reads the code in it on a thread of
    its own, which does not delay the others.

    read: gives (time_ns, number) of the code in a picture, or None.
    seen: (time of hand-over, time in the code, number in the code, the frame's own time of capture)
    of each frame, in ns; both of the code are None where there is none. missed: frames that came
    while the one before was still being read: neither read nor in `seen`. filled: made up by
    interpolation, their code with them: neither read nor shown.
    """

    def __init__(self, read: Read = read_time_code) -> None:
        self._read = read
        self.seen: list[tuple[int, int | None, int | None, int]] = []
        self.error = None
        self.shown = self.filled = 0
        self.dropped = 0
        self._mailbox: Mailbox[tuple[int, VideoFrame]] = Mailbox()
        self._thread: threading.Thread | None = None

    @property
    def missed(self) -> int:
        return self._mailbox.dropped

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="bunraku-code-reader", daemon=True
            )
            self._thread.start()

    def show(self, frame: VideoFrame) -> None:
        if frame.interpolated:
            self.filled += 1
            return
        self._mailbox.put((time.monotonic_ns(), frame))
        self.shown += 1

    def stop(self) -> None:
        self._mailbox.close()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._mailbox.closed:
            taken = self._mailbox.take(WAIT_S)
            if taken is None:
                continue
            now_ns, frame = taken
            code = self._read(frame.pixels)
            if code is not None and not 0 <= now_ns - code[0] < TRUSTED_NS:
                code = None
            time_ns, number = code if code is not None else (None, None)
            self.seen.append((now_ns, time_ns, number, frame.time_ns))
