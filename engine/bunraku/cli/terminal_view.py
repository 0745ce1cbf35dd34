"""What plays, shown on standard error: ten times a second on a terminal, else as a line every five
seconds."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
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
        self._print(f"{self._title}   Ctrl-C ends", "bold")
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
        self._print(f"· {text}", "yellow")

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Say what takes long before anything plays; it stands there until the first `tick`."""
        if self._live is None:
            self.say(text)
        else:
            from rich.spinner import Spinner

            self._live.update(Spinner("dots", text))
        yield

    def tick(self, playing: Playing) -> None:
        """Show it as it is now."""
        if self._live is not None:
            self._live.update(self.shown(playing))
        elif time.monotonic() >= self._line_at:
            self._line_at += LINE_EVERY_S
            self._print(self.line(playing))

    def _print(self, text: str, style: str = "") -> None:
        """In a log a line stays a line, however long."""
        self._console.print(text, style=style, markup=False, soft_wrap=self._live is None)

    @abstractmethod
    def shown(self, playing: Playing) -> RenderableType:
        """For a terminal."""

    @abstractmethod
    def line(self, playing: Playing) -> str:
        """For a log."""


def rows(*texts: str) -> Group:
    """Dim lines, each cut to the terminal's width."""
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(text, style="dim", no_wrap=True, overflow="ellipsis") for text in texts))


@contextmanager
def working(text: str) -> Iterator[None]:
    """On standard error, what takes long once nothing plays any more: beside a spinner, in a log as
    a line."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"· {text}", style="yellow", markup=False)
        yield
        return
    with console.status(text):
        yield
