"""What gives frames, and what shows them: the contract that every source and sink keeps, and the
thread that each of them runs on."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from bunraku.errors import BunrakuError, DeviceError, MediaError
from bunraku.streaming.mailbox import Mailbox
from bunraku.streaming.video_frame import VideoFrame

Put = Callable[[VideoFrame], None]
Say = Callable[[str], None]

JOIN_TIMEOUT_S = 1.5
OPEN_TIMEOUT_S = 15.0
PUMP_S = 0.02


def say_nothing(text: str) -> None:
    """The `on_message` of whoever does not listen."""


class VideoSource(ABC):
    """Gives frames from a thread of its own, from `start` until `stop` or its end.

    size: (width, height) of every frame. rate_hz: nominal frames in a second.
    ended: gives no more frames of itself: at its end, after an error or a stop. error: why, if it
    is not the end. dropped: frames that came too late to be given, or that nobody was ready for.
    corrupt: frames or packets that could not be decoded and were left out.

    way_s: how long a frame is on its way from its capture until it is given, where that is long and
    not this machine's to shorten; lateness is counted without it.

    `start` while running and `stop` while stopped do nothing; a stopped source may start again.
    The pixels of a frame that was given are never changed by the source.
    """

    thread_name: ClassVar[str] = "bunraku-video-source"
    way_s: ClassVar[float] = 0.0

    def __init__(
        self, size: tuple[int, int], rate_hz: float, on_message: Say = say_nothing
    ) -> None:
        self.size = size
        self.rate_hz = rate_hz
        self.ended = False
        self.error: BunrakuError | None = None
        self.dropped = 0
        self.corrupt = 0
        self._say = on_message
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._left_behind: threading.Thread | None = None

    def start(self, put: Put) -> None:
        """Call `put` with each frame, from this source's thread, in order of capture."""
        if self._thread is not None and self._thread.is_alive() and not self._stopping.is_set():
            return
        self._stopping = threading.Event()
        self.ended, self.error = False, None
        self._thread = threading.Thread(
            target=self._work, args=(put, self._stopping), name=self.thread_name, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """No `put` is called afterwards. A device that hangs in its driver is left behind."""
        self._stopping.set()
        thread = self._thread
        if thread is None:
            self._close()
            return
        if thread is threading.current_thread() or thread is self._left_behind:
            return  # it closes what is open itself
        thread.join(JOIN_TIMEOUT_S)
        if thread.is_alive():
            self._left_behind = thread
            self._say(f"{self.thread_name} still hangs; left behind")
        else:
            self._thread = None

    def follow(self, time_ns_of: Callable[[float], int]) -> None:  # noqa: B027 - cameras cannot
        """Before `start`: let what stands at so many seconds fall due when this says. A source with
        a clock of its own, such as a camera, keeps it."""

    def _work(self, put: Put, stopping: threading.Event) -> None:
        def put_until_stopped(frame: VideoFrame) -> None:
            if not stopping.is_set():  # one that was left behind may wake up again
                put(frame)

        try:
            self._deliver(put_until_stopped, stopping)
        except BunrakuError as error:
            self.error = error
        except Exception as error:
            self.error = BunrakuError(f"{self.thread_name} failed: {error!r}; start it again")
            self.error.__cause__ = error
        finally:
            self._close()
            self.ended = True

    @abstractmethod
    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        """On the source's thread: give frames until the end, or until `stopping` is set."""

    def _close(self) -> None:
        """Let go of what is open. Called more than once; on the source's thread, or without one."""
        return None


class VideoSink(ABC):
    """Takes finished frames. `show` returns at once, whatever the sink is doing.

    dropped: frames handed over that were never shown. shown: frames that were. error: why it shows
    no more. The pixels of a frame that was handed over must not be changed any more.

    `start` while running and `stop` while stopped do nothing.
    """

    dropped: int
    shown: int
    error: BunrakuError | None

    @abstractmethod
    def start(self) -> None:
        """Raises DeviceError, MediaError or MissingDependencyError when it cannot."""

    @abstractmethod
    def show(self, frame: VideoFrame) -> None:
        """Any thread. Before `start`, after `stop` or an error the frame counts as dropped."""

    @abstractmethod
    def stop(self) -> None:
        """Raises nothing; `error` tells what went wrong."""


class NewestFrameSink(VideoSink):
    """A sink that shows the newest frame from a thread of its own and drops what it misses."""

    thread_name: ClassVar[str] = "bunraku-video-sink"

    def __init__(self, on_message: Say = say_nothing) -> None:
        self.error: BunrakuError | None = None
        self.shown = 0
        self._say = on_message
        self._refused = 0
        self._mailbox: Mailbox[VideoFrame] = Mailbox()
        self._mailbox.close()
        self._opened = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:  # type: ignore[override]
        return self._refused + self._mailbox.dropped

    def start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._refused += self._mailbox.dropped
        self._mailbox, self._opened, self.error = Mailbox(), threading.Event(), None
        self._thread = threading.Thread(target=self._work, name=self.thread_name, daemon=True)
        self._thread.start()
        if not self._opened.wait(OPEN_TIMEOUT_S):
            self._mailbox.close()
            raise DeviceError(
                f"{self.thread_name} did not open in {OPEN_TIMEOUT_S:.0f} s; see what it waits for"
            )
        if self.error is not None:
            self._thread.join()
            raise self.error

    def show(self, frame: VideoFrame) -> None:
        if self._mailbox.closed:
            self._refused += 1
        else:
            self._mailbox.put(frame)

    def stop(self) -> None:
        self._mailbox.close()
        thread, self._thread = self._thread, None
        if thread is None or thread is threading.current_thread():
            return
        thread.join(JOIN_TIMEOUT_S)
        if thread.is_alive():
            self._say(f"{self.thread_name} still hangs; left behind")

    def _work(self) -> None:
        mailbox = self._mailbox
        try:
            self._open()
            self._opened.set()
            while not mailbox.closed:
                frame = mailbox.take(PUMP_S)
                if frame is not None:
                    self._present(frame)
                    self.shown += 1
                self._pump()
        except BunrakuError as error:
            self.error = error
        except Exception as error:
            self.error = MediaError(f"{self.thread_name} failed: {error!r}; start it again")
            self.error.__cause__ = error
        finally:
            mailbox.close()
            self._close()
            self._opened.set()

    @abstractmethod
    def _open(self) -> None:
        """On the sink's thread. Raises what `start` then raises."""

    @abstractmethod
    def _present(self, frame: VideoFrame) -> None:
        """On the sink's thread."""

    def _pump(self) -> None:
        """On the sink's thread, after each frame and fifty times a second without one."""
        return None

    def _close(self) -> None:
        """On the sink's thread; also when `_open` failed half-way."""
        return None
