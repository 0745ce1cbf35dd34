"""Keys pressed in the terminal that the program was started from."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator

if sys.platform == "win32":
    import msvcrt
else:
    import select
    import termios
    import tty

POLL_S = 0.1
JOIN_TIMEOUT_S = 1.0
MOST_KEYS_AT_ONCE = 16
"""Of what is read in one go: more is pasted text, not fingers."""
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
WINDOWS_ARROWS = {"H": "\x1b[A", "P": "\x1b[B", "M": "\x1b[C", "K": "\x1b[D"}


def terminal_keys_at_hand() -> bool:
    """Whether keys can be read: the program has a terminal and is in its foreground."""
    try:
        if not sys.stdin.isatty():
            return False
        if sys.platform == "win32":
            return True
        return in_foreground(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):  # no stdin, or one that was closed
        return False


class Hotkeys:
    """Calls `on_key` from its own thread with each key: the character itself, or "space", "left",
    "right", "up", "down". Ctrl-C works as ever. `with` listens; the terminal is left as it was.

    terminal: its file descriptor; standard input if None.
    """

    def __init__(self, on_key: Callable[[str], object], terminal: int | None = None) -> None:
        self._on_key = on_key
        self._terminal = sys.stdin.fileno() if terminal is None else terminal
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bunraku-hotkeys", daemon=True)

    def __enter__(self) -> Hotkeys:
        if sys.platform != "win32":
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal, termios.TCSANOW)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopping.set()
        self._thread.join(JOIN_TIMEOUT_S)
        if sys.platform != "win32" and in_foreground(self._terminal):
            termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _run(self) -> None:
        for text in self._typed():
            keys = list(keys_in(text))
            if len(keys) <= MOST_KEYS_AT_ONCE:
                for key in keys:
                    self._on_key(key)

    def _typed(self) -> Iterator[str]:
        if sys.platform == "win32":
            yield from windows_keys(self._stopping)
            return
        while not self._stopping.is_set():
            try:
                # In the background a read would stop the whole program.
                if not in_foreground(self._terminal):
                    self._stopping.wait(POLL_S)
                    continue
                ready, _, _ = select.select([self._terminal], [], [], POLL_S)
                data = os.read(self._terminal, 1024) if ready else None
            except OSError:
                return  # the terminal is gone
            if data == b"":
                return
            if data:
                yield data.decode(errors="replace")


def in_foreground(terminal: int) -> bool:
    """Whether this program may read and set the terminal now."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError as error:
        return error.errno == errno.ENOTTY  # not the one that controls us: nobody is in its way


if sys.platform == "win32":

    def windows_keys(stopping: threading.Event) -> Iterator[str]:
        """What was typed, arrows as a Unix terminal sends them."""
        while not stopping.wait(POLL_S):
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in ("\0", "\xe0"):
                    key = WINDOWS_ARROWS.get(msvcrt.getwch(), "")
                yield key


def keys_in(text: str) -> Iterator[str]:
    """The keys in what a terminal sent; of the escape sequences only the arrows."""
    place = 0
    while place < len(text):
        one = text[place]
        place += 1
        if one == "\x1b":
            if text[place : place + 1] in ("[", "O"):
                end = place + 1
                while end < len(text) and not "@" <= text[end] <= "~":
                    end += 1
                name = ARROWS.get(text[end : end + 1]) if end == place + 1 else None
                place = end + 1
                if name is not None:
                    yield name
        elif one == " ":
            yield "space"
        elif one.isprintable():
            yield one
