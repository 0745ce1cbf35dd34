"""A thread that carries out what performers ask, one action after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bunraku.formats.control_action import Action, replaces

MOST_WAITING = 64


class ActionLane:
    """Runs `run` on its own thread for each action, in order.

    At most 64 wait. A slider's older value that still waits is dropped for the newer one, so a
    knob that is turned for long never fills the queue. `on_error` is told what `run` raises.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Action], None],
        on_error: Callable[[Action, Exception], None],
    ) -> None:
        self._run = run
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: list[Action] = []
        self._busy = False
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=f"bunraku-{name}", daemon=True)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def put(self, action: Action) -> bool:
        """Any thread, without waiting for the action. False: too many wait, or it was stopped."""
        with self._changed:
            if self._stopping:
                return False
            self._waiting = [older for older in self._waiting if not replaces(action, older)]
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(action)
            self._changed.notify_all()
            return True

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether everything that was put has been done in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Drop what waits; False if what runs is not over after the timeout. Idempotent."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                action = self._waiting.pop(0)
                self._busy = True
            try:
                self._run(action)
            except Exception as error:
                self._on_error(action, error)
