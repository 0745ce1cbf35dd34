"""When a browser's camera captured a frame, from the reports that come with its stream.

A sender report names one moment twice, by the sender's clock and by the stream's timestamps (RFC
3550, section 6.4.1); between two of them the stream runs at 90 kHz.
"""

from __future__ import annotations

VIDEO_CLOCK_HZ = 90_000
WRAP = 1 << 32
NTP_TO_UNIX_S = 2_208_988_800
MS_PER_S = 1e3


class SenderReports:
    """Of one stream. `report` for each that comes, on one thread."""

    def __init__(self) -> None:
        self._latest: tuple[float, int] | None = None  # sender's ms since the epoch, RTP time

    def report(self, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """ntp_timestamp: 32 bits of seconds since 1900, 32 bits of fraction."""
        unix_ms = MS_PER_S * (ntp_timestamp / WRAP - NTP_TO_UNIX_S)
        self._latest = unix_ms, rtp_timestamp

    def sender_ms(self, rtp_timestamp: int) -> float | None:
        """When what bears this timestamp was captured, in ms since the epoch by the sender's clock;
        None before the first report."""
        if self._latest is None:
            return None
        unix_ms, reported = self._latest
        ticks = (rtp_timestamp - reported + WRAP // 2) % WRAP - WRAP // 2
        return unix_ms + MS_PER_S * ticks / VIDEO_CLOCK_HZ
