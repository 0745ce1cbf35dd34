"""Lips in step: the medium with less latency is delayed to match the other.

Both latencies run from capture to where the viewer gets them. The picture's jitters and changes
with the scheduler's tiers, so a high quantile of it counts, and the delay moves only when it is off
by more than a viewer could notice, and not often: each change is a short crossfade of the voice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bunraku.streaming.audio_block import NS_PER_S

NS_PER_MS = 1_000_000
WINDOW_FRAMES = 90
QUANTILE = 0.8
TOLERANCE_NS = 8 * NS_PER_MS
CALM_NS = NS_PER_S
FIRST_AFTER_FRAMES = 10
MOST_DELAY_NS = 500 * NS_PER_MS


@dataclass(frozen=True)
class SyncDelays:
    """How much later each medium is made than it could be."""

    audio_ns: int = 0
    video_ns: int = 0


class LipSync:
    """One performance's. `observe_video` for each frame shown, `decide` now and then.

    audio_latency_ns: of the voice, capture to heard, without the delay decided here.
    most_delay_ns: what the audio engine can delay by.
    """

    def __init__(self, audio_latency_ns: int, most_delay_ns: int = MOST_DELAY_NS) -> None:
        self.audio_latency_ns = audio_latency_ns
        self._most_delay_ns = most_delay_ns
        self._video: deque[int] = deque(maxlen=WINDOW_FRAMES)
        self._delays = SyncDelays()
        self._changed_ns: int | None = None

    def observe_video(self, latency_ns: int) -> None:
        """A frame was shown, `latency_ns` after its capture, any delay decided here left out."""
        self._video.append(latency_ns)

    @property
    def video_latency_ns(self) -> int:
        """What all but a few frames keep to; 0 before any."""
        if not self._video:
            return 0
        ordered = sorted(self._video)
        return ordered[min(len(ordered) - 1, int(QUANTILE * len(ordered)))]

    @property
    def delays(self) -> SyncDelays:
        return self._delays

    @property
    def skew_ns(self) -> int:
        """How much later the picture is than the voice, with the present delays."""
        audio = self.audio_latency_ns + self._delays.audio_ns
        return self.video_latency_ns + self._delays.video_ns - audio

    def decide(self, now_ns: int) -> SyncDelays:
        """The delays from now on."""
        if len(self._video) < FIRST_AFTER_FRAMES:
            return self._delays
        calm = self._changed_ns is None or now_ns - self._changed_ns >= CALM_NS
        if calm and abs(self.skew_ns) > (0 if self._changed_ns is None else TOLERANCE_NS):
            gap = self.video_latency_ns - self.audio_latency_ns
            limit = self._most_delay_ns
            self._delays = SyncDelays(min(max(0, gap), limit), min(max(0, -gap), limit))
            self._changed_ns = now_ns
        return self._delays
