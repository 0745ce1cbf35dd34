"""One browser's WebRTC connection: its camera comes in, transformed pictures go back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from bunraku.errors import MissingDependencyError, UserInputError
from bunraku.serving.aiortc_tuning import (
    hear_sender_reports,
    raise_bitrates,
    release_whole_frames,
    with_bitrates,
)
from bunraku.serving.sender_reports import SenderReports

MOST_MEDIA = 4
MOST_CANDIDATES = 64
CLOSE_TIMEOUT_S = 1.0


OnPicture = Callable[[Any, float | None], None]


def aiortc_module() -> Any:
    """Raises MissingDependencyError with the remedy."""
    try:
        import aiortc
    except ImportError as error:
        raise MissingDependencyError(
            f"a browser's camera needs the package 'aiortc' ({error}): pip install 'bunraku[web]'"
        ) from error
    return aiortc


class Peer:
    """On the event loop. sends: tracks to show in the browser. on_picture: given each decoded frame
    of the browser's camera, and when it was captured, in ms since the epoch by the browser's clock,
    or None as long as that is not known. on_end: called when the connection is lost."""

    def __init__(
        self,
        sends: list[Any],
        on_picture: OnPicture | None,
        on_end: Callable[[], None],
    ) -> None:
        aiortc = aiortc_module()
        raise_bitrates()
        self._aiortc = aiortc
        self._connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._sends = sends
        self._on_picture = on_picture
        self._on_end = on_end
        self._reports = SenderReports()
        self._first_timestamp: Callable[[], int | None] = lambda: None
        self._reader: asyncio.Task[None] | None = None
        self._closed = False
        self._connection.on("track", self._track)
        self._connection.on("connectionstatechange", self._state_changed)

    @property
    def state(self) -> str:
        return str(self._connection.connectionState)

    async def answer(self, offer: str) -> str:
        """The answer to an SDP offer. Raises UserInputError for one that makes no sense."""
        check_offer(offer)
        connection = self._connection
        try:
            await connection.setRemoteDescription(
                self._aiortc.RTCSessionDescription(sdp=offer, type="offer")
            )
            for track in self._sends:
                connection.addTrack(track)
            for transceiver in connection.getTransceivers():
                if transceiver.kind == "video" and self._on_picture is not None:
                    self._first_timestamp = release_whole_frames(transceiver.receiver)
                    hear_sender_reports(transceiver.receiver, self._reports)
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises whatever its parser stumbles over
            raise UserInputError(
                f"the offer makes no sense to WebRTC ({type(error).__name__}); reload the page"
            ) from error
        return with_bitrates(connection.localDescription.sdp)

    def _track(self, track: Any) -> None:
        if track.kind == "video" and self._on_picture is not None and self._reader is None:
            self._reader = asyncio.create_task(self._read(track, self._on_picture))
        elif track.kind != "video":
            track.stop()

    async def _read(self, track: Any, on_picture: OnPicture) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                picture = await track.recv()
                on_picture(picture, self._captured_ms(picture.pts))
        except MediaStreamError:
            return  # the browser ended it; the connection's state tells the rest

    def _captured_ms(self, pts: int | None) -> float | None:
        first = self._first_timestamp()
        return None if first is None or pts is None else self._reports.sender_ms(first + pts)

    def _state_changed(self) -> None:
        if self.state in {"failed", "closed"} and not self._closed:
            self._on_end()

    async def close(self) -> None:
        """Ends the connection and its threads. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()
        for track in self._sends:
            track.stop()
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            return  # the other side is gone; what is left ends with the loop


def check_offer(sdp: str) -> None:
    """Raises UserInputError for an offer with more in it than a camera needs: each part costs
    sockets and time."""
    media = len(re.findall(r"^m=", sdp, re.MULTILINE))
    candidates = len(re.findall(r"^a=candidate:", sdp, re.MULTILINE))
    if not 1 <= media <= MOST_MEDIA:
        raise UserInputError(f"an offer with {media} media: send 1 to {MOST_MEDIA}")
    if candidates > MOST_CANDIDATES:
        raise UserInputError(f"an offer with {candidates} candidates: at most {MOST_CANDIDATES}")
