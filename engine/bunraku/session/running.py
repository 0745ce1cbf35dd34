"""What plays from `start` until `stop`, its end, or a loss: waited for, and watched meanwhile."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

TICK_S = 0.1


class Running(ABC):
    """`with` starts it and stops it, also when starting fails half-way."""

    @abstractmethod
    def start(self) -> None:
        """Once; what was stopped is not started again."""

    @abstractmethod
    def stop(self) -> None:
        """Idempotent."""

    @abstractmethod
    def check(self) -> None:
        """One look at everything; raises BunrakuError when something is lost for good."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Started, and neither stopped nor at the end."""

    def wait(
        self, seconds: float | None = None, on_tick: Callable[[Self], None] | None = None
    ) -> None:
        """Until the end, or `seconds`; ten times a second `check` and `on_tick`. Raises what
        `check` raises."""
        end = None if seconds is None else time.monotonic() + seconds
        while self.running:
            left = TICK_S if end is None else min(TICK_S, end - time.monotonic())
            if left <= 0:
                return
            time.sleep(left)
            self.check()
            if on_tick is not None:
                on_tick(self)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
