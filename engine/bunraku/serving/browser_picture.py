"""A browser's camera as a source of frames, and a track that shows frames in a browser."""

from __future__ import annotations

import asyncio
import fractions
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bunraku.errors import BunrakuError
from bunraku.io.video_source import Put, VideoSink, VideoSource
from bunraku.packages import opencv, pyav
from bunraku.serving.browser_clock import BrowserClock
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.mailbox import Mailbox
from bunraku.streaming.rate_limit import RateLimit
from bunraku.streaming.video_frame import Pixels, VideoFrame

VIDEO_CLOCK_HZ = 90_000
WAIT_S = 0.1
MORE_THAN_OFFERED, OFFERED_BURST = 1.25, 10
MOST_WAY_NS = NS_PER_S
"""A browser whose clock says that a picture is older is not believed."""


@dataclass(frozen=True, eq=False)
class Arrived:
    """picture: PyAV's VideoFrame, as the decoder gave it."""

    picture: Any
    time_ns: int
    number: int


class BrowserSource(VideoSource):
    """Frames that `arrive` from WebRTC, all of one size: a browser lowers its own when the way is
    narrow. A frame's time is that of its capture where the browser says it, which it does from its
    first second on; else that of its arrival, some 20 to 40 ms later. clock: the browser's."""

    thread_name = "bunraku-browser-camera"
    way_s = 0.034

    def __init__(self, size: tuple[int, int], rate_hz: float, clock: BrowserClock) -> None:
        super().__init__(size, rate_hz)
        self._clock = clock
        self._last_ns = 0
        self._rate = RateLimit(MORE_THAN_OFFERED * rate_hz, OFFERED_BURST)
        self._beyond = 0
        self._mailbox: Mailbox[Arrived] = Mailbox()
        self._number = 0
        self._cv2 = opencv("a browser's camera")

    def arrive(self, picture: Any, captured_ms: float | None) -> None:
        """On the event loop: returns at once. captured_ms: by the browser's clock, if known."""
        now_ns = time.monotonic_ns()
        if not self._rate.allows(now_ns):  # more than was offered, and booked
            self._beyond += 1
            return
        captured_ns = None if captured_ms is None else self._clock.monotonic_ns(captured_ms)
        if captured_ns is None or not now_ns - MOST_WAY_NS < captured_ns < now_ns:
            captured_ns = now_ns
        self._last_ns = max(self._last_ns + 1, captured_ns)
        self._mailbox.put(Arrived(picture, self._last_ns, self._number))
        self._number += 1

    def finish(self) -> None:
        """The browser sends no more."""
        self._mailbox.close()

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        while not stopping.is_set() and not self._mailbox.closed:
            arrived = self._mailbox.take(WAIT_S)
            self.dropped = self._mailbox.dropped + self._beyond
            if arrived is None:
                continue
            try:
                pixels = self._pixels(arrived.picture)
            except (ValueError, OSError, self._cv2.error):
                self.corrupt += 1
                continue
            put(VideoFrame(pixels, arrived.time_ns, arrived.number))

    def _pixels(self, picture: Any) -> Pixels:
        pixels: Pixels = picture.to_ndarray(format="bgr24")
        if (pixels.shape[1], pixels.shape[0]) == self.size:
            return pixels
        scaled: Pixels = self._cv2.resize(pixels, self.size, interpolation=self._cv2.INTER_LINEAR)
        return scaled

    def _close(self) -> None:
        self._mailbox.close()


class NewestPicture(VideoSink):
    """The newest frame, for a coroutine to wait for. `loop`: where it waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.dropped = 0
        self.shown = 0
        self.error: BunrakuError | None = None
        self._loop = loop
        self._newest: VideoFrame | None = None
        self._lock = threading.Lock()
        self._there = asyncio.Event()
        self._stopped = False

    def start(self) -> None:
        """Nothing to do: whoever waits is served from the first frame on."""

    def show(self, frame: VideoFrame) -> None:
        with self._lock:
            if self._stopped:
                self.dropped += 1
                return
            waits_already = self._newest is not None
            self.dropped += waits_already
            self._newest = frame
        if not waits_already:
            self._wake()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
        self._wake()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._there.set)

    async def next(self) -> VideoFrame | None:
        """The newest frame that was not given yet; None once stopped."""
        while True:
            with self._lock:
                frame, self._newest = self._newest, None
                if frame is not None:
                    self.shown += 1
                    return frame
                if self._stopped:
                    return None
                self._there.clear()
            await self._there.wait()


def return_track(pictures: NewestPicture, on_sent: Callable[[int], None]) -> Any:
    """An aiortc track that sends `pictures`. on_sent: told the age of each frame in ns, from its
    time to its hand-over to the encoder."""
    from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

    video_frame = pyav("a picture in the browser").VideoFrame

    class ReturnTrack(MediaStreamTrack):
        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self._began_ns = 0
            self._pts = -1

        async def recv(self) -> Any:
            frame = await pictures.next()
            if frame is None or self.readyState != "live":
                self.stop()
                raise MediaStreamError
            on_sent(time.monotonic_ns() - frame.time_ns)
            self._began_ns = self._began_ns or frame.time_ns
            since = (frame.time_ns - self._began_ns) * VIDEO_CLOCK_HZ // NS_PER_S
            self._pts = max(self._pts + 1, since)
            sent = video_frame.from_ndarray(frame.pixels, format="bgr24")
            sent.pts, sent.time_base = self._pts, fractions.Fraction(1, VIDEO_CLOCK_HZ)
            return sent

    return ReturnTrack()
