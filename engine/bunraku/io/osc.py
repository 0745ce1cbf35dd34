"""Receives Open Sound Control messages over UDP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bunraku.errors import UserInputError
from bunraku.io.osc_datagram import MAX_DATAGRAM_BYTES, OscDecoder, OscEvent
from bunraku.streaming.rate_limit import RateLimit

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
MOST_PER_S = 500.0
BURST = 500
POLL_S = 0.2
JOIN_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class OscFigures:
    """Messages handed on; datagrams that were damaged, from a stranger, or too many."""

    events: int
    malformed: int
    strangers: int
    over_rate: int


class OscServer:
    """Calls `on_event` from its own thread with each message that arrives at `port`.

    senders: addresses that may send besides this machine; without any, only this machine can. A
    sender's address can be forged within a network, so what arrives is no proof of who sent it.
    port 0: any free one; `port` then says which. Raises MissingDependencyError.
    """

    def __init__(
        self, port: int, on_event: Callable[[OscEvent], object], senders: Sequence[str] = ()
    ) -> None:
        self.port = port
        self._on_event = on_event
        self._senders = frozenset([LOOPBACK, *senders])
        self._host = EVERYWHERE if senders else LOOPBACK
        self._decoder = OscDecoder()
        self._limit = RateLimit(MOST_PER_S, BURST)
        self._socket: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._events = self._malformed = self._strangers = self._over_rate = 0

    def start(self) -> None:
        """Raises UserInputError when the port is taken."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.bind((self._host, self.port))
        except OSError as error:
            opened.close()
            raise UserInputError(
                f"the OSC port {self.port} cannot be opened ({error.strerror}): choose another,"
                " 1024 to 65535"
            ) from error
        opened.settimeout(POLL_S)
        self.port = opened.getsockname()[1]
        self._socket = opened
        self._thread = threading.Thread(target=self._run, name="bunraku-osc", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent. The port is free when this returns."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT_S)
        if self._socket is not None:
            self._socket.close()

    def figures(self) -> OscFigures:
        return OscFigures(self._events, self._malformed, self._strangers, self._over_rate)

    def _run(self) -> None:
        assert self._socket is not None, "the server was started"
        while not self._stopping.is_set():
            try:
                datagram, sender = self._socket.recvfrom(MAX_DATAGRAM_BYTES + 1)
            except TimeoutError:
                continue
            except OSError:
                if self._stopping.wait(POLL_S):
                    return
                continue  # Windows: an answer to one of ours could not be delivered
            self._take(datagram, str(sender[0]))

    def _take(self, datagram: bytes, sender: str) -> None:
        if sender not in self._senders:
            self._strangers += 1
            return
        if not self._limit.allows(time.monotonic_ns()):
            self._over_rate += 1
            return
        try:
            events = self._decoder.events(datagram)
        except ValueError:
            self._malformed += 1
            return
        for event in events:
            self._events += 1
            self._on_event(event)
