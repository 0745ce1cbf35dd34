"""What a live session counted and measured, as plain data; docs/live-audio.md defines it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Quantiles:
    """Milliseconds; p999 is the 99.9th percentile. All 0 when nothing was measured."""

    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0

    @classmethod
    def from_summary(cls, summary: Mapping[str, int]) -> Quantiles:
        """From the native core's nanoseconds."""
        return cls(*(summary[key] / 1e6 for key in ("p50_ns", "p99_ns", "p999_ns", "max_ns")))

    def plus(self, constant_ms: float) -> Quantiles:
        return Quantiles(*(value + constant_ms for value in astuple(self)))


@dataclass(frozen=True)
class DeclaredLatency:
    """Delays that the effects declare, in frames at the session's rate."""

    chain_frames: int = 0
    bridge_frames: int = 0
    effects_frames: int = 0

    @property
    def frames(self) -> int:
        return self.chain_frames + self.bridge_frames + self.effects_frames


@dataclass(frozen=True)
class DeviceFigures:
    """What the sound device says about itself; None where it says nothing."""

    name: str
    input_latency_ms: float | None
    output_latency_ms: float | None
    round_trip_ms: Quantiles | None
    losses: int


@dataclass(frozen=True)
class BridgeFigures:
    """How the effects written in Python kept up."""

    effects: tuple[str, ...]
    blocks: int
    missed: int
    late: int
    not_sent: int
    skipped: int


@dataclass(frozen=True)
class LiveReport:
    """One session, from its start until now."""

    model: str
    isa: str
    sample_rate_hz: int
    block_frames: int
    channels: int
    seconds: float
    blocks: int
    misses: int
    output_underflows: int
    input_overflows: int
    input_underflows: int
    output_overflows: int
    clipped_samples: int
    non_finite_samples: int
    recording_dropped_frames: int
    block_ms: float
    declared: DeclaredLatency
    declared_ms: float
    compute_ms: Quantiles
    wake_up_ms: Quantiles | None
    added_latency_ms: Quantiles
    device: DeviceFigures | None = None
    bridge: BridgeFigures | None = None
    realtime_priority: bool | None = None
    messages: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: nested dictionaries of numbers, texts and lists."""
        return asdict(self)
