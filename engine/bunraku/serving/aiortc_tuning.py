"""What aiortc and aioice do by default and a live picture cannot afford, changed in one place.

Each change asks first whether what it changes is still there; where a release has moved it, the
picture is a frame later or of another bitrate, and works.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bunraku.serving.sender_reports import SenderReports

LEAST_BITRATE, START_BITRATE, MOST_BITRATE = 600_000, 1_500_000, 4_000_000
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
RTCP_HANDLER = "_handle_rtcp_packet"
VP8_RTPMAP = re.compile(r"^a=rtpmap:(\d+) VP8/90000\r?$", re.MULTILINE)


def raise_bitrates() -> None:
    """aiortc begins at 0.5 Mbit/s and ends at 1.5: a face in motion is mud."""
    from aiortc.codecs import vpx

    for name, value in (
        ("MIN_BITRATE", LEAST_BITRATE),
        ("DEFAULT_BITRATE", START_BITRATE),
        ("MAX_BITRATE", MOST_BITRATE),
    ):
        if hasattr(vpx, name):
            setattr(vpx, name, value)


def with_bitrates(sdp: str) -> str:
    """The answer with what Chromium reads: else it begins at 0.3 Mbit/s and lowers the size."""
    found = VP8_RTPMAP.search(sdp)
    if found is None:
        return sdp
    line = (
        f"a=fmtp:{found[1]} x-google-min-bitrate={LEAST_BITRATE // 1000};"
        f"x-google-start-bitrate={START_BITRATE // 1000};"
        f"x-google-max-bitrate={MOST_BITRATE // 1000}\r\n"
    )
    end = found.end() + 1
    return sdp[:end] + line + sdp[end:]


def hear_sender_reports(receiver: Any, reports: SenderReports) -> None:
    """Tell `reports` of each report on the stream that comes in. Before the connection begins."""
    from aiortc.rtp import RtcpSrPacket

    handle = getattr(receiver, RTCP_HANDLER, None)
    if handle is None:
        return

    async def heard(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            reports.report(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
        await handle(packet)

    setattr(receiver, RTCP_HANDLER, heard)


def release_whole_frames(receiver: Any) -> Callable[[], int | None]:
    """Let the receiver hand a frame to the decoder when its last packet is there. As it is, it
    waits for the first packet of the next: a thirtieth of a second. Before the connection begins;
    returns what tells the timestamp of the stream's first frame, from which decoded ones count."""
    from aiortc.jitterbuffer import JitterBuffer

    class MarkedJitterBuffer(JitterBuffer):
        first_timestamp: int | None = None

        def add(self, packet: Any) -> tuple[bool, Any]:
            key_frame_needed, frame = super().add(packet)
            if frame is None and packet.marker:
                frame = self._whole_frame()
            if frame is not None and self.first_timestamp is None:
                self.first_timestamp = frame.timestamp
            return key_frame_needed, frame

        def _whole_frame(self) -> Any:
            """The frame at the buffer's beginning, if no packet of it is missing."""
            from aiortc.jitterbuffer import JitterFrame

            pieces: list[bytes] = []
            timestamp = None
            origin = self._origin or 0
            for count in range(self._capacity):
                packet: Any = self._packets[(origin + count) % self._capacity]
                if packet is None or timestamp not in (None, packet.timestamp):
                    return None
                timestamp = packet.timestamp
                pieces.append(packet._data)
                if packet.marker:
                    self.remove(count + 1)
                    return JitterFrame(data=b"".join(pieces), timestamp=timestamp)
            return None

    before = getattr(receiver, JITTER_BUFFER, None)
    known = all(hasattr(before, name) for name in ("_packets", "_origin", "_capacity", "remove"))
    if not isinstance(before, JitterBuffer) or not known:
        return lambda: None
    marked = MarkedJitterBuffer(before.capacity, is_video=True)
    setattr(receiver, JITTER_BUFFER, marked)
    return lambda: marked.first_timestamp


class HostAddresses:
    """Which of this machine's addresses WebRTC opens ports on. aioice leaves loopback out; a server
    that listens on loopback only should open no other. Process-wide; `restore` undoes it."""

    def __init__(self, loopback_only: bool) -> None:
        from aioice import ice

        self._module = ice
        self._before = getattr(ice, "get_host_addresses", None)
        if loopback_only and self._before is not None:
            ice.get_host_addresses = loopback_addresses

    def restore(self) -> None:
        if self._before is not None:
            self._module.get_host_addresses = self._before


def loopback_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"] if use_ipv4 else ["::1"]
