"""Blocks of sound with times of another clock, made into one even track without clicks.

A sound card's second is not the monotonic clock's: over an hour 200 ppm are 0.7 s. A second order
delay-locked loop (as Adriaensen, "Using a DLL to filter time", 2005) compares where each block
lands with where its time says it belongs, and a windowed-sinc interpolator reads the sound that
little faster or slower. Only a jump is bridged with silence or cut.

Times may be a stranger's. Silence that only the sound's own times ask for is bounded: 10 s, paid
back by as much sound. A block dated later than that follows without a gap, on a time line of its
own, until times are sound again or pictures have led the track on to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bunraku.io.audio_files import Samples
from bunraku.streaming.audio_block import NS_PER_S

JUMP_S = 0.015
BANDWIDTH_HZ, FIRST_BANDWIDTH_HZ, FIRST_S = 0.1, 0.5, 4.0
MOST_STRETCH = 0.005
FADE_S = 0.002
HALF_TAPS, PHASES, KAISER_BETA = 16, 512, 8.0
MOST_CHUNK_S = 1.0
MOST_BRIDGE_S = 10.0

Table = npt.NDArray[np.float32]


class SoundTrack:
    """`add` gives the track's next samples; frame k of the whole sounds k periods after
    `origin_ns`. silent_frames: put in where sound was missing. cut_frames: left out, because it was
    there already or before the origin."""

    def __init__(self, sample_rate_hz: int, channels: int, origin_ns: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.origin_ns = origin_ns
        self.frames = 0
        self.silent_frames = 0
        self.cut_frames = 0
        self._moved_ns = 0  # of the present time line: by how much its times are taken for earlier
        self._may_bridge = self._most_bridge = round(MOST_BRIDGE_S * sample_rate_hz)
        self._table = _taps()
        self._drift = 0.0  # output frames for each frame that comes in, less 1
        self._heard_s = 0.0
        self._began = False
        self._held: Samples = self._silence(HALF_TAPS)
        self._position = float(HALF_TAPS)

    def add(self, samples: Samples, time_ns: int) -> Iterator[Samples]:
        """float32 [frames, channels] of which the first belongs at `time_ns`; nominal-rate pieces
        of [frames, channels] that continue the track."""
        time_ns = self._believed(time_ns)
        error = self._wanted(time_ns) - self._landing()
        jump = round(error)
        if not self._began or abs(error) > JUMP_S * self.sample_rate_hz:
            if jump < 0:
                self.cut_frames += min(-jump, len(samples))
                samples = samples[-jump:]
                if len(samples) == 0:
                    return
                error -= jump
            elif jump > 0:
                self._may_bridge -= jump
                yield from self._bridge(time_ns)
                error = self._wanted(time_ns) - self._landing()
            samples = self._faded_in(samples)
            self._began = True
            error = 0.0 if abs(error) > 1.0 else error
        self._may_bridge = min(self._most_bridge, self._may_bridge + len(samples))
        step = self._follow(error, len(samples))
        self._held = np.concatenate([self._held, samples])
        yield self._read(step)

    def fill_to(self, time_ns: int) -> Iterator[Samples]:
        """Silence up to `time_ns`, where no sound came so far; 10 s of it at once."""
        missing = self._wanted(time_ns) - self._landing()
        if missing > self._most_bridge:
            time_ns -= self._ns(missing - self._most_bridge)
        if missing > 1.0:
            yield from self._bridge(time_ns)

    def finish(self) -> Samples:
        """What the interpolator still holds."""
        return self._flush()

    def _wanted(self, time_ns: int) -> float:
        return (time_ns - self.origin_ns) * self.sample_rate_hz / NS_PER_S

    def _ns(self, frames: float) -> int:
        return round(frames * NS_PER_S / self.sample_rate_hz)

    def _believed(self, time_ns: int) -> int:
        """The time at which the block is put: its own, or that of another time line."""
        landing = self._landing()
        ahead = self._wanted(time_ns) - landing
        most = max(self._may_bridge, JUMP_S * self.sample_rate_hz)
        moved_ns = 0
        if ahead > most:
            moved_ns = self._moved_ns
            moved = self._wanted(time_ns - moved_ns) - landing
            if moved_ns == 0 or not -self._most_bridge < moved <= most:
                moved_ns = self._ns(ahead)
        if moved_ns != self._moved_ns:
            self._moved_ns, self._began = moved_ns, False
        return time_ns - moved_ns

    def _landing(self) -> float:
        """Where the next frame that comes in would sound, in frames of the track."""
        return self.frames + (len(self._held) - self._position) * (1.0 + self._drift)

    def _follow(self, error: float, frames: int) -> float:
        """One turn of the loop: how many frames that came in make one of the track."""
        block_s = frames / self.sample_rate_hz
        bandwidth_hz = FIRST_BANDWIDTH_HZ if self._heard_s < FIRST_S else BANDWIDTH_HZ
        omega = min(2.0 * math.pi * bandwidth_hz * block_s, 0.5)
        self._heard_s += block_s
        pull = math.sqrt(2.0) * omega * error / max(frames, 1)
        stretch = self._drift + pull
        if abs(stretch) < MOST_STRETCH:
            self._drift += omega * omega * error / max(frames, 1)
        return 1.0 / (1.0 + min(max(stretch, -MOST_STRETCH), MOST_STRETCH))

    def _read(self, step: float) -> Samples:
        """All that can be interpolated from what is held."""
        last = len(self._held) - HALF_TAPS - 1
        count = max(0, math.floor((last - self._position) / step) + 1)
        if count == 0:
            return self._silence(0)
        places = self._position + step * np.arange(count)
        whole = places.astype(np.int64)
        phase = (places - whole) * PHASES
        row = phase.astype(np.int64)
        blend = (phase - row).astype(np.float32)[:, None]
        taps = self._table[row] * (1.0 - blend) + self._table[row + 1] * blend
        windows = np.lib.stride_tricks.sliding_window_view(self._held, 2 * HALF_TAPS, axis=0)
        out: Samples = np.einsum("kct,kt->kc", windows[whole - HALF_TAPS + 1], taps)
        self._position += step * count
        used = math.floor(self._position) - HALF_TAPS
        self._held = self._held[used:]
        self._position -= used
        self.frames += count
        return out.astype(np.float32, copy=False)

    def _bridge(self, time_ns: int) -> Iterator[Samples]:
        """The rest of the sound so far, then silence until `time_ns`."""
        yield self._flush()
        missing = round(self._wanted(time_ns)) - self.frames
        self.silent_frames += max(0, missing)
        most = round(MOST_CHUNK_S * self.sample_rate_hz)
        while missing > 0:
            count = min(missing, most)
            self.frames += count
            missing -= count
            yield self._silence(count)
        self._began = False

    def _flush(self) -> Samples:
        self._held = np.concatenate([self._held, self._silence(HALF_TAPS)])
        rest = self._read(1.0 / (1.0 + self._drift))
        self._forget()
        return rest

    def _forget(self) -> None:
        """The interpolator begins anew, its next frame the next of the track."""
        self._held = self._silence(HALF_TAPS)
        self._position = float(HALF_TAPS)

    def _silence(self, frames: int) -> Samples:
        return np.zeros((frames, self.channels), np.float32)

    def _faded_in(self, samples: Samples) -> Samples:
        count = min(len(samples), round(FADE_S * self.sample_rate_hz))
        samples = samples.copy()
        samples[:count] *= np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None]
        return samples


def _taps() -> Table:
    """Row p: the taps for a place p / PHASES after a frame; one row more, to blend towards."""
    offsets = (
        np.arange(1 - HALF_TAPS, HALF_TAPS + 1)[None] - np.arange(PHASES + 1)[:, None] / PHASES
    )
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (offsets / HALF_TAPS) ** 2, 0, 1)))
    taps = np.sinc(offsets) * window / np.i0(KAISER_BETA)
    table: Table = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return table
