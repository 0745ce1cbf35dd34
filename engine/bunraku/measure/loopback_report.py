"""What a loopback measurement found, and how markers become its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bunraku.measure.latency_series import LatencyFigures, LatencySeries
from bunraku.measure.marker import LEAST_SCORE, Found, Signal, find_marker

MOST_DELAY_S = 1.0
AROUND_S = 0.1
"""Once the first marker has told the delay, the others are looked for so near to it: nearer than
half a period, so that none is taken for its neighbour."""
LEAST_SHARE_CLEAR = 0.5
MANY_SHARE = 0.1
"""Of the markers: when so many are missing, the report says what to do."""


@dataclass(frozen=True)
class LoopbackReport:
    """latency_ms: of markers that went through devices and effect; of devices alone where
    `through_effect` is false, because the effect makes a marker unrecognisable. device_ms: of the
    same markers before the effect; None when paced. effect_ms: the median difference. emitted =
    those measured + lost + disturbed; lost: not found where they should be; disturbed: this program
    was too slow to play them. model_rate_hz: where it is another than sample_rate_hz, what the
    model adds has the change of rate in it. score: the median likeness of what came back, 0 to
    1."""

    path: str
    model: str
    model_rate_hz: int
    sample_rate_hz: int
    block_frames: int
    seconds: float
    latency_ms: LatencyFigures
    device_ms: LatencyFigures | None
    effect_ms: float | None
    through_effect: bool
    declared_ms: float
    score: float
    emitted: int
    lost: int
    disturbed: int
    underflows: int
    misses: int
    notes: tuple[str, ...]
    series: LatencySeries
    machine: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def find_markers(
    heard: Signal,
    positions: Sequence[int | None],
    rate_hz: int,
) -> list[Found | None]:
    """Each marker's return in `heard`, or None. The first that is clear narrows the search for the
    rest."""
    least, most = 0, round(MOST_DELAY_S * rate_hz)
    around = round(AROUND_S * rate_hz)
    found: list[Found | None] = []
    narrowed = False
    for position in positions:
        one = None
        if position is not None:
            one = find_marker(heard[position:], rate_hz, least, most)
        if one is not None and one.clear and not narrowed:
            narrowed = True
            least = max(0, round(one.delay_frames) - around)
            most = round(one.delay_frames) + around
        found.append(one)
    return found


def notes_of(
    model: str, through: bool, score: float, emitted: int, lost: int, disturbed: int
) -> tuple[str, ...]:
    """What limits the figures, and what helps."""
    notes = []
    if not through:
        notes.append(
            f"'{model}' changes a marker so much that it is not recognised behind it (likeness"
            f" {score:.2f}, {LEAST_SCORE:g} is needed): the figures are of the path without the"
            " effect; add what the effect declares"
        )
    if disturbed > MANY_SHARE * emitted:
        notes.append(
            f"{disturbed} of {emitted} markers were disturbed: this machine was too busy to play"
            " them, or to see when; close other programs, or measure for longer"
        )
    if through and lost > MANY_SHARE * emitted:
        notes.append(
            f"{lost} of {emitted} markers were not recognised: silence whatever else sounds into"
            " this input, and lower its gain if it clips"
        )
    return tuple(notes)


def is_clear(found: Found | None) -> bool:
    return found is not None and found.clear


def delay_of(found: Found | None) -> float:
    assert found is not None, "only those that were found are asked"
    return found.delay_frames


def series_of(
    positions: Sequence[int], found: Sequence[Found | None], which: Sequence[int], rate: int
) -> LatencySeries:
    return LatencySeries.of([(positions[k] / rate, 1e3 * delay_of(found[k]) / rate) for k in which])
