"""The recording sink: pictures and the session's sound into one file, encoded on its own thread."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import numpy as np

from bunraku.errors import BunrakuError, MediaError, UserInputError
from bunraku.io.audio_files import Samples, with_channels
from bunraku.io.video_muxer import VideoMuxer
from bunraku.io.video_source import VideoSink
from bunraku.io.video_specs import LEAST_SIDE, MOST_SIDE, RecordingSpec
from bunraku.packages import pyav
from bunraku.streaming.video_frame import VideoFrame

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
MOST_QUEUED_BYTES = 64 << 20
LEAST_QUEUED_FRAMES = 4
MOST_QUEUED_SOUND_S = 10.0
FINISH_TIMEOUT_S = 10.0

Sound = tuple[Samples, int]


def check_video_writable(path: str | Path, *, overwrite: bool) -> Path:
    """The path, if a new recording may be made there. Raises UserInputError with the remedy."""
    path = Path(path)
    if path.exists() and (not overwrite or not path.is_file()):
        raise UserInputError(
            f"{path} exists and is not overwritten; choose another name or remove it"
        )
    if not path.parent.is_dir():
        raise UserInputError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.suffix.lower() not in SUFFIXES:
        raise UserInputError(
            f"{path}: the ending '{path.suffix}' is none of {', '.join(SUFFIXES)}; use .mp4"
        )
    return path


class VideoWriter(VideoSink):
    """Frames keep their own times, sound is kept in step with them by its times; the first picture
    is the file's beginning.

    The queue holds 64 MB of pictures and 10 s of sound; what does not fit is dropped and counted,
    sound in `dropped_sound_frames`, which are silence in the file. A stopped writer does not start
    again: its file is finished.
    """

    def __init__(self, spec: RecordingSpec) -> None:
        self.spec = spec
        self.path = check_video_writable(spec.path, overwrite=spec.overwrite)
        pyav("recording video")
        self.dropped = self.shown = self.dropped_sound_frames = 0
        self.silent_frames = self.cut_frames = 0
        self.error: BunrakuError | None = None
        self._changed = threading.Condition()
        self._queue: deque[VideoFrame | Sound] = deque()
        self._queued_bytes = self._queued_frames = self._queued_sound = 0
        self._running = self._has_begun = self._given_up = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises UserInputError when the file came into being meanwhile or the writer was stopped,
        MediaError when it cannot be made."""
        if self._running:
            return
        if self._thread is not None:
            raise UserInputError(f"{self.path} is finished; make a new writer for another file")
        try:  # "x" leaves no moment in which somebody else's file could be taken for ours
            self.path.open("wb" if self.spec.overwrite else "xb").close()
        except FileExistsError as error:
            raise UserInputError(
                f"{self.path} exists and is not overwritten; choose another name or remove it"
            ) from error
        except OSError as error:
            raise MediaError(
                f"{self.path}: cannot be made ({error.strerror}); choose a folder of yours"
            ) from error
        self._running = True
        self._thread = threading.Thread(target=self._work, name="bunraku-recording", daemon=True)
        self._thread.start()

    def show(self, frame: VideoFrame) -> None:
        with self._changed:
            full = (
                self._queued_frames >= LEAST_QUEUED_FRAMES
                and self._queued_bytes + frame.pixels.nbytes > MOST_QUEUED_BYTES
            )
            if full or not self._running or not self._fits(frame):
                self.dropped += 1
                return
            self._queue.append(frame)
            self._queued_frames += 1
            self._queued_bytes += frame.pixels.nbytes
            self._changed.notify()

    def write_audio(self, samples: Samples, time_ns: int) -> None:
        """float32 [frames, channels] at the spec's rate, the first frame heard at `time_ns`.
        Any thread but the audio thread; returns at once. `samples` are copied."""
        if self.spec.sample_rate_hz is None:
            raise UserInputError(
                "this recording has no sound: give RecordingSpec a sample_rate_hz, such as 48000"
            )
        if samples.ndim != 2 or not 1 <= samples.shape[1] <= 64:
            raise UserInputError(
                f"samples are of shape {samples.shape}: give float32 [frames, channels]"
            )
        fitted = with_channels(np.array(samples, np.float32), self.spec.channels)
        with self._changed:
            self._forget_early_sound()
            most = MOST_QUEUED_SOUND_S * self.spec.sample_rate_hz
            if not self._running or self._queued_sound + len(fitted) > most:
                self.dropped_sound_frames += len(fitted)
                return
            self._queue.append((np.nan_to_num(fitted, posinf=0.0, neginf=0.0), time_ns))
            self._queued_sound += len(fitted)
            self._changed.notify()

    def _forget_early_sound(self) -> None:
        """Before the first picture only the last second is kept: the file begins with a picture."""
        assert self.spec.sample_rate_hz is not None, "only a recording with sound gets any"
        while not self._has_begun and self._queued_frames == 0:
            if self._queued_sound <= self.spec.sample_rate_hz:
                return
            early = self._queue.popleft()
            assert not isinstance(early, VideoFrame), "no picture is queued"
            self._queued_sound -= len(early[0])

    def stop(self) -> None:
        """Encode what is queued and finish the file; what is not encoded after 10 s is left out.
        Without a picture there is none."""
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._thread is None or self._thread is threading.current_thread():
            return
        self._thread.join(FINISH_TIMEOUT_S)
        self._given_up = True
        if self._thread.is_alive() and self.error is None:
            self.error = MediaError(
                f"{self.path}: still not finished after {FINISH_TIMEOUT_S:.0f} s; it plays as far"
                " as it was written"
            )

    # ---- the recording's thread -----------------------------------------------------------------

    def _work(self) -> None:
        muxer: VideoMuxer | None = None
        try:
            first = self._first_picture()
            if first is None:
                self.path.unlink(missing_ok=True)
                return
            self._has_begun = True
            muxer = VideoMuxer(self.spec, first.size, first.time_ns)
            while (item := self._next()) is not None:
                self._write(muxer, item)
            muxer.finish()
        except Exception as error:
            self._fail(error)
            if muxer is not None:
                muxer.abandon()
        finally:
            with self._changed:
                self._running = False
                self.dropped += sum(isinstance(item, VideoFrame) for item in self._queue)
                self._queue.clear()

    @staticmethod
    def _fits(frame: VideoFrame) -> bool:
        return min(frame.size) >= LEAST_SIDE and max(frame.size) <= MOST_SIDE

    def _first_picture(self) -> VideoFrame | None:
        """The first queued picture, left in the queue; None when stopped without one."""
        with self._changed:
            self._changed.wait_for(lambda: self._queued_frames > 0 or not self._running)
            return next((item for item in self._queue if isinstance(item, VideoFrame)), None)

    def _next(self) -> VideoFrame | Sound | None:
        """The oldest item; None when stopped and empty, or when it takes too long."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) > 0 or not self._running)
            if not self._queue or self._given_up:
                return None
            item = self._queue.popleft()
            if isinstance(item, VideoFrame):
                self._queued_frames -= 1
                self._queued_bytes -= item.pixels.nbytes
            else:
                self._queued_sound -= len(item[0])
            return item

    def _write(self, muxer: VideoMuxer, item: VideoFrame | Sound) -> None:
        if not isinstance(item, VideoFrame):
            muxer.add_sound(*item)
        elif muxer.add_frame(item):
            self.shown += 1
        else:
            with self._changed:
                self.dropped += 1
        if muxer.track is not None:
            self.silent_frames = muxer.track.silent_frames
            self.cut_frames = muxer.track.cut_frames

    def _fail(self, error: Exception) -> None:
        if isinstance(error, BunrakuError):
            self.error = error
            return
        self.error = MediaError(f"{self.path}: recording failed: {error!r}; record anew")
        self.error.__cause__ = error
