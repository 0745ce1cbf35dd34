"""Small models made on the spot, for tests of what carries them."""

from __future__ import annotations

from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, GainSpec, ModelSpec


def gain_bytes(
    gain_db: float = 0.0, *, name: str = "gain", sample_rate_hz: float = 48_000.0
) -> bytes:
    """A flat file whose chain is one gain."""
    return write_flat(ModelSpec(ChainSpec((GainSpec(gain_db),)), sample_rate_hz, name))


def resampling_bytes(rate_hz: float = 44_100.0) -> bytes:
    """A gain of 0 dB trained at another rate than a session at 48 kHz has: it adds a latency."""
    return gain_bytes(name="resampled", sample_rate_hz=rate_hz)
