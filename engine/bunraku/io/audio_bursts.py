"""How many blocks in a row a device calls for. No host API tells; its buffering decides."""

from __future__ import annotations

from bunraku.io.audio_devices import AudioDevice, Direction

ALSA_PERIODS = 4
"""Into how many periods PortAudio divides an ALSA device's buffer."""


def blocks_in_a_row(
    device: AudioDevice,
    direction: Direction,
    *,
    block_frames: int,
    sample_rate_hz: int,
    buffer: str | float,
) -> int:
    """Blocks of `block_frames` that the device calls for at once, before the next pause.

    JACK calls for as many as its period holds. Over ALSA, PulseAudio's way too, PortAudio wakes
    once a period of its own, a quarter of one block and the wanted buffer (`buffer`: "low", "high"
    or seconds) rounded up to whole blocks; then it calls for all of them. Other systems are taken
    to do the same.
    """
    if "JACK" in device.host_api:
        period_frames = jack_period_frames(device, sample_rate_hz)
    else:
        wanted_frames = int(device.buffer_s(direction, buffer) * sample_rate_hz)
        period_frames = (block_frames + max(block_frames, wanted_frames)) // ALSA_PERIODS
    return max(1, -(-period_frames // block_frames))


def jack_period_frames(device: AudioDevice, sample_rate_hz: int) -> int:
    """A power of two: the greatest that the captured sound's latency holds, which is one period and
    what the user has added for converters. 0 where nothing is captured."""
    latency_frames = round(device.input_buffers.low_s * sample_rate_hz)
    return 1 << (latency_frames.bit_length() - 1) if latency_frames > 0 else 0
