"""Small models made on the spot, for tests of what carries them."""

from __future__ import annotations

from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, GainSpec, ModelSpec, RateSpec


def gain_bytes(
    gain_db: float = 0.0, *, name: str = "gain", sample_rate_hz: float = 48_000.0
) -> bytes:
    """A flat file whose chain is one gain."""
    return write_flat(ModelSpec(ChainSpec((GainSpec(gain_db),)), sample_rate_hz, name))


def resampling_bytes(inner_rate_hz: float = 44_100.0) -> bytes:
    """A flat file whose chain runs at another rate: it has a latency."""
    inner = RateSpec(inner_rate_hz, ChainSpec((GainSpec(0.0),)))
    return write_flat(ModelSpec(ChainSpec((inner,)), 48_000.0, "resampled"))
