"""One MP4, MOV or Matroska file in the making: H.264 pictures at their own times and AAC sound.

MP4 is written in fragments, each playable once it is on the disk, so that a process that is killed
leaves a file without at most its last second.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from bunraku.errors import MediaError
from bunraku.io.audio_files import Samples
from bunraku.io.sound_track import SoundTrack
from bunraku.io.video_reader import reason_of
from bunraku.io.video_specs import RecordingSpec, Size
from bunraku.packages import pyav
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.video_frame import VideoFrame

TICKS_HZ = 90_000
FRAGMENT_NS = NS_PER_S
AAC_FRAMES = 1024
# The encoder's own start, timed before what it is given: the track's first 21 ms make room for it,
# because a fragmented MP4 has no times below 0 and would be shifted after its first picture.
AAC_PRIMING = 1024
AAC_BITRATE_A_CHANNEL = 96_000
SOUND_MAY_LAG_NS = 2 * NS_PER_S
FRAGMENTED = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof",
    "frag_duration": str(FRAGMENT_NS // 1000),
    "flush_packets": "1",
}


class VideoMuxer:
    """One thread. size: of the pictures, made even; frames of another are scaled. origin_ns: the
    time that becomes the file's beginning. Raises MediaError."""

    def __init__(self, spec: RecordingSpec, size: Size, origin_ns: int) -> None:
        self.origin_ns = origin_ns
        self._av = pyav("recording video")
        self._path = Path(spec.path)
        self._last_tick = -1
        self._key_ns: int | None = None
        self._audio: Any = None
        self.track: SoundTrack | None = None
        self._pending: list[Samples] = []
        self._encoded_frames = 0  # of the track, with what was skipped
        is_matroska = self._path.suffix.lower() == ".mkv"
        try:
            self._container = self._av.open(
                f"file:{self._path}", "w", options={} if is_matroska else FRAGMENTED
            )
            self._video = self._video_stream(spec, size)
            if spec.sample_rate_hz is not None:
                self._audio = self._audio_stream(spec, spec.sample_rate_hz)
                self.track = SoundTrack(spec.sample_rate_hz, spec.channels, origin_ns)
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failed("cannot be begun", error) from error

    def _video_stream(self, spec: RecordingSpec, size: Size) -> Any:
        stream = self._container.add_stream(
            "libx264", rate=Fraction(spec.rate_hz).limit_denominator(1001)
        )
        stream.width, stream.height = size[0] // 2 * 2, size[1] // 2 * 2
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base = Fraction(1, TICKS_HZ)
        codec.thread_count = 1  # a core is left to the sound
        codec.max_b_frames = 0
        codec.gop_size = 10 * max(1, round(spec.rate_hz))  # key frames are asked for by time
        quality = {"crf": str(spec.crf)}
        if spec.bitrate is not None:
            codec.bit_rate, quality = spec.bitrate, {}
        codec.options = {"preset": spec.preset, "forced-idr": "1", **quality}
        return stream

    def _audio_stream(self, spec: RecordingSpec, sample_rate_hz: int) -> Any:
        layout = "mono" if spec.channels == 1 else "stereo"
        stream = self._container.add_stream("aac", rate=sample_rate_hz, layout=layout)
        stream.codec_context.format = "fltp"
        stream.codec_context.bit_rate = AAC_BITRATE_A_CHANNEL * spec.channels
        stream.codec_context.time_base = Fraction(1, sample_rate_hz)
        return stream

    def add_frame(self, frame: VideoFrame) -> bool:
        """False: the frame is not later than the one before it, or before the origin."""
        since_ns = frame.time_ns - self.origin_ns
        tick = round(since_ns * TICKS_HZ / NS_PER_S)
        if tick <= self._last_tick or since_ns < 0:
            return False
        self._last_tick = tick
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), "bgr24")
        width, height = self._video.width, self._video.height
        picture = picture.reformat(width, height, "yuv420p")
        picture.pts, picture.time_base = tick, Fraction(1, TICKS_HZ)
        if self._key_ns is None or since_ns - self._key_ns >= FRAGMENT_NS:
            self._key_ns = since_ns
            picture.pict_type = self._av.video.frame.PictureType.I
        self._encode(self._video, picture)
        if self.track is not None:  # a muxer that waits for missing sound would hold the pictures
            for silence in self.track.fill_to(frame.time_ns - SOUND_MAY_LAG_NS):
                self._add_samples(silence)
        return True

    def add_sound(self, samples: Samples, time_ns: int) -> None:
        """float32 [frames, channels], the first of them at `time_ns`."""
        assert self.track is not None, "the recording was made with a sample rate"
        for piece in self.track.add(samples, time_ns):
            self._add_samples(piece)

    def _add_samples(self, samples: Samples) -> None:
        """Hand whole AAC frames to the encoder, keep the rest."""
        if self._encoded_frames < AAC_PRIMING:
            skipped = min(len(samples), AAC_PRIMING - self._encoded_frames)
            samples = samples[skipped:]
            self._encoded_frames += skipped
        self._pending.append(samples)
        if sum(len(piece) for piece in self._pending) < AAC_FRAMES:
            return
        joined = np.concatenate(self._pending)
        whole = len(joined) // AAC_FRAMES * AAC_FRAMES
        for start in range(0, whole, AAC_FRAMES):
            self._encode_samples(joined[start : start + AAC_FRAMES])
        self._pending = [joined[whole:]]

    def _encode_samples(self, samples: Samples) -> None:
        planes = np.ascontiguousarray(np.clip(samples.T, -1.0, 1.0), dtype=np.float32)
        layout = "mono" if len(planes) == 1 else "stereo"
        sound = self._av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        rate_hz = self._audio.codec_context.sample_rate
        sound.sample_rate, sound.time_base = rate_hz, Fraction(1, rate_hz)
        sound.pts = self._encoded_frames
        self._encoded_frames += len(samples)
        self._encode(self._audio, sound)

    def _encode(self, stream: Any, frame: Any) -> None:
        try:
            self._container.mux(stream.encode(frame))
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failed("writing failed", error) from error

    def finish(self) -> None:
        """Everything that is still held, and the file's end."""
        if self.track is not None:
            self._add_samples(self.track.finish())
            rest = np.concatenate(self._pending)
            if len(rest) > 0:
                self._encode_samples(rest)
        for stream in (self._video, self._audio):
            if stream is not None:
                self._encode(stream, None)
        try:
            self._container.close()
        except (self._av.error.FFmpegError, OSError) as error:
            raise self._failed("closing failed", error) from error

    def abandon(self) -> None:
        """After an error: let go of the file, whatever state it is in."""
        try:
            self._container.close()
        except (self._av.error.FFmpegError, OSError, ValueError):
            return  # the first error is the one that is reported

    def _failed(self, what: str, error: Exception) -> MediaError:
        return MediaError(
            f"{self._path}: {what} ({reason_of(error)}); is the disk full, or the folder not yours?"
        )
