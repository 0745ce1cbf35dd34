"""The delay of sound through devices, engine and effect, measured by markers that really go there.

From an output device through a cable to an input device and the model, or, paced, through a session
without a device. docs/measuring.md says what is and what is not in the figures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bunraku.errors import DeviceError, UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, GainSpec, ModelSpec
from bunraku.measure.bench import machine_name
from bunraku.measure.loopback_injector import DeviceLoop
from bunraku.measure.loopback_paced import DEFAULT_RATE_HZ, measure_paced
from bunraku.measure.loopback_report import (
    LEAST_SHARE_CLEAR,
    MOST_DELAY_S,
    LoopbackReport,
    delay_of,
    find_markers,
    is_clear,
    notes_of,
    series_of,
)
from bunraku.measure.marker import Signal, marker, marker_train
from bunraku.session.endpoints import DeviceBuffer

LEAST_SECONDS, MOST_SECONDS = 2.0, 300.0


def measure_loopback(
    *,
    model: str | None = None,
    input_name: str | int | None = None,
    output_name: str | int | None = None,
    paced: bool = False,
    block_frames: int = 256,
    seconds: float = 20.0,
    sample_rate_hz: int | None = None,
    device_buffer: DeviceBuffer = "high",
    on_tick: Callable[[], None] | None = None,
) -> LoopbackReport:
    """Measure for `seconds`. model: a file or a name of the default pack; None: sound passes
    unchanged. paced: no device; the clock's pace stands for one.

    Raises UserInputError, DeviceError (also when no marker comes back), ModelFormatError.
    """
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise UserInputError(
            f"seconds is {seconds:g}: use {LEAST_SECONDS:g} to {MOST_SECONDS:g}, such as 20"
        )
    tick = on_tick or (lambda: None)
    if paced:
        if input_name is not None or output_name is not None:
            raise UserInputError("a paced measurement has no devices: leave out input and output")
        rate_hz = sample_rate_hz or DEFAULT_RATE_HZ
        what = plain_model(rate_hz) if model is None else model
        return measure_paced(what, block_frames, seconds, sample_rate_hz, tick)
    loop = DeviceLoop(
        plain_model if model is None else model,
        input_name=input_name,
        output_name=output_name,
        block_frames=block_frames,
        sample_rate_hz=sample_rate_hz,
        device_buffer=device_buffer,
    )
    frames = round(seconds * loop.sample_rate_hz)
    positions = marker_train(frames, loop.sample_rate_hz)
    came, played, heard = loop.run(positions, frames, tick)
    return _device_report(loop, positions, came, played, heard)


def plain_model(sample_rate_hz: int) -> bytes:
    """A chain that changes nothing: of this rate, so that nothing is resampled either."""
    return write_flat(ModelSpec(ChainSpec((GainSpec(0.0),)), float(sample_rate_hz), "no effect"))


def _device_report(
    loop: DeviceLoop, positions: list[int], came: Signal, played: Signal, heard: Signal
) -> LoopbackReport:
    rate = loop.sample_rate_hz
    shape = marker(rate)
    was_played = [
        p if np.array_equal(played[p : p + len(shape)], shape) else None for p in positions
    ]
    before = find_markers(came, was_played, rate)
    told = loop.device()
    if not any(is_clear(found) for found in before):
        raise DeviceError(
            f"no marker came back from {told.name} within {MOST_DELAY_S:g} s: connect its output to"
            " its input by a cable, choose another --input, or turn up the volume"
        )
    after = find_markers(heard, was_played, rate)
    counted = loop.engine.stats()
    usable = [k for k in range(len(positions)) if was_played[k] is not None]
    arrived = [k for k in usable if is_clear(before[k])]
    clear = [k for k in arrived if is_clear(after[k])]
    through = len(clear) >= LEAST_SHARE_CLEAR * len(arrived)
    scores = [found.score for k in arrived if (found := after[k]) is not None]
    score = float(np.median(scores)) if scores else 0.0
    chosen, figures = (after, clear) if through else (before, arrived)
    series = series_of(positions, chosen, figures, rate)
    lost, disturbed = len(usable) - len(figures), len(positions) - len(usable)
    differences = [delay_of(after[k]) - delay_of(before[k]) for k in clear]
    return LoopbackReport(
        path=f"{told.name}: output, cable, input, then the model",
        model=loop.model.name,
        model_rate_hz=round(loop.model.sample_rate_hz),
        sample_rate_hz=rate,
        block_frames=loop.block_frames,
        seconds=counted["frames"] / rate,
        latency_ms=series.figures(),
        device_ms=series_of(positions, before, arrived, rate).figures(),
        effect_ms=1e3 * float(np.median(differences)) / rate if through else None,
        through_effect=through,
        declared_ms=1e3 * loop.latency_frames / rate,
        score=score,
        emitted=len(positions),
        lost=lost,
        disturbed=disturbed,
        underflows=counted["output_underflows"],
        misses=counted["missed_deadlines"],
        notes=notes_of(loop.model.name, through, score, len(positions), lost, disturbed),
        series=series,
        machine=machine_name(),
    )
