"""Looks after a performance on the server's own devices, as the command line does for its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bunraku.errors import BunrakuError
from bunraku.formats.control_action import Record
from bunraku.session.control.desk import ControlDesk
from bunraku.session.performance import Performance

LOOK_S = 1.0
CLOSE_TIMEOUT_S = 1.0
MOST_TROUBLES = 20


class StageWatch:
    """Once a second, on a thread of its own: a device that is opened again may take long.

    say: told each trouble once, and that the picture has ended; a recording ends with it.
    `troubles`: what was told so far, for pages that come later.
    """

    def __init__(
        self, performance: Performance, desk: ControlDesk, say: Callable[[str], None]
    ) -> None:
        self._performance = performance
        self._desk = desk
        self._say = say
        self.troubles: tuple[str, ...] = ()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="bunraku-stage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Before the performance is stopped."""
        self._closing.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _work(self) -> None:
        while not self._closing.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        recording = self._desk.recording
        if recording.must_end or (self._picture_over and recording.path is not None):
            self._desk.submit(Record("off"))  # the desk says what became of it
            return
        try:
            self._performance.check()
        except Exception as error:
            self._tell(str(error) if isinstance(error, BunrakuError | OSError) else repr(error))
            return
        if self._picture_over:
            self._tell("the picture has ended: its source gives no more")

    @property
    def _picture_over(self) -> bool:
        picture = self._performance.picture
        return picture is not None and picture.source.ended

    def _tell(self, text: str) -> None:
        if text not in self.troubles and not self._closing.is_set():
            self.troubles = (*self.troubles, text)[-MOST_TROUBLES:]
            self._say(text)
