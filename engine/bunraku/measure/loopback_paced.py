"""The delay of a session without a device: its block, its model, and how late it was woken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bunraku.io.audio_files import AudioClip
from bunraku.measure.bench import machine_name
from bunraku.measure.latency_series import LatencySeries
from bunraku.measure.loopback_injector import BlockClock
from bunraku.measure.loopback_report import (
    LEAST_SHARE_CLEAR,
    LoopbackReport,
    delay_of,
    find_markers,
    is_clear,
    notes_of,
)
from bunraku.measure.marker import draw_markers, marker_train
from bunraku.session.endpoints import ClipEndpoint
from bunraku.session.live_session import LiveSession

DEFAULT_RATE_HZ = 48_000


def measure_paced(
    model: str | bytes,
    block_frames: int,
    seconds: float,
    sample_rate_hz: int | None,
    on_tick: Callable[[], None],
) -> LoopbackReport:
    """What enters a block waits until it is full, the model's delay and run time, and however late
    the block was begun."""
    rate = sample_rate_hz or DEFAULT_RATE_HZ
    frames = round(seconds * rate)
    positions = marker_train(frames, rate)
    clip = AudioClip(draw_markers(positions, frames, rate)[:, None], rate)
    session = LiveSession(
        model, source=ClipEndpoint(clip), block_frames=block_frames, keep_seconds=seconds + 1.0
    )
    with BlockClock(session) as clock, session:
        session.wait(on_tick=lambda session: on_tick())
    report = session.report()
    found = find_markers(session.kept()[1].mean(axis=1), list(positions), rate)
    clear = [k for k in range(len(positions)) if is_clear(found[k])]
    through = len(clear) >= LEAST_SHARE_CLEAR * len(positions)
    always_ms = report.block_ms + report.compute_ms.p50
    points = []
    for k in clear if through else ():
        late_s = clock.lateness_s(positions[k] + round(delay_of(found[k])))
        if late_s is not None:
            marker_ms = 1e3 * (delay_of(found[k]) / rate + late_s)
            points.append((positions[k] / rate, always_ms + marker_ms))
    series = LatencySeries.of(points)
    scores = [one.score for one in found if one is not None]
    effect = [delay_of(found[k]) for k in clear]
    score = float(np.median(scores)) if scores else 0.0
    lost = len(positions) - len(clear)
    disturbed = len(clear) - len(points) if through else 0
    return LoopbackReport(
        path="no device: a session paced by the clock",
        model=report.model,
        model_rate_hz=round(session.model.sample_rate_hz),
        sample_rate_hz=rate,
        block_frames=block_frames,
        seconds=report.seconds,
        latency_ms=series.figures(),
        device_ms=None,
        effect_ms=1e3 * float(np.median(effect)) / rate if through and effect else None,
        through_effect=through,
        declared_ms=1e3 * report.declared.chain_frames / rate,
        score=score,
        emitted=len(positions),
        lost=lost,
        disturbed=disturbed,
        underflows=report.output_underflows,
        misses=report.misses,
        notes=notes_of(report.model, through, score, len(positions), lost, disturbed),
        series=series,
        machine=machine_name(),
    )
