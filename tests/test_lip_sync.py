"""Which medium is delayed, by how much, and how seldom that changes."""

from __future__ import annotations

import numpy as np
from bunraku.session.lip_sync import LipSync, SyncDelays

MS = 1_000_000


def feed(sync: LipSync, latencies_ms: list[float], start_ns: int = 0) -> int:
    now = start_ns
    for latency in latencies_ms:
        sync.observe_video(int(latency * MS))
        now += 33 * MS
        sync.decide(now)
    return now


def test_the_voice_waits_for_the_picture() -> None:
    sync = LipSync(audio_latency_ns=20 * MS)
    feed(sync, [60.0] * 30)
    assert sync.delays == SyncDelays(audio_ns=40 * MS)
    assert sync.skew_ns == 0


def test_the_picture_waits_for_a_slow_voice() -> None:
    sync = LipSync(audio_latency_ns=120 * MS)
    feed(sync, [40.0] * 30)
    assert sync.delays == SyncDelays(video_ns=80 * MS)


def test_nothing_is_decided_from_a_few_frames() -> None:
    sync = LipSync(audio_latency_ns=20 * MS)
    feed(sync, [200.0] * 5)
    assert sync.delays == SyncDelays()


def test_jitter_does_not_move_the_delay() -> None:
    sync = LipSync(audio_latency_ns=20 * MS)
    random = np.random.default_rng(0)
    now = feed(sync, list(60 + random.uniform(-6, 6, 100)))
    settled = sync.delays
    feed(sync, list(60 + random.uniform(-6, 6, 1000)), now)
    assert sync.delays == settled


def test_a_lower_tier_is_followed_within_four_seconds_and_then_rests() -> None:
    sync = LipSync(audio_latency_ns=20 * MS)
    now = feed(sync, [90.0] * 120)
    changes = []
    for _ in range(300):
        before = sync.delays
        now = feed(sync, [45.0], now)
        if sync.delays != before:
            changes.append(now)
    assert abs(sync.skew_ns) < 8 * MS
    assert 1 <= len(changes) <= 4


def test_the_delay_has_a_limit() -> None:
    sync = LipSync(audio_latency_ns=0, most_delay_ns=100 * MS)
    feed(sync, [900.0] * 50)
    assert sync.delays == SyncDelays(audio_ns=100 * MS)
    assert sync.skew_ns == 800 * MS
