"""What plays, shown on standard error: ten times a second on a terminal, else as a line every five
seconds."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

LINE_EVERY_S = 5.0

Playing = TypeVar("Playing")


class TerminalView(ABC, Generic[Playing]):
    """A title, then what `shown` or `line` make of what plays."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = title
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        if sys.stderr.isatty():
            self._live = Live(console=self._console, refresh_per_second=10, transient=True)
        self._line_at = time.monotonic() + LINE_EVERY_S

    def __enter__(self) -> Self:
        self._console.print(self._title, style="bold", markup=False)
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A message in a line of its own."""
        self._console.print(f"· {text}", style="yellow", markup=False)

    def tick(self, playing: Playing) -> None:
        """Show it as it is now."""
        if self._live is not None:
            self._live.update(self.shown(playing))
        elif time.monotonic() >= self._line_at:
            self._line_at += LINE_EVERY_S
            self._console.print(self.line(playing), markup=False)

    @abstractmethod
    def shown(self, playing: Playing) -> RenderableType:
        """For a terminal."""

    @abstractmethod
    def line(self, playing: Playing) -> str:
        """For a log."""
