"""A thread that carries out what performers ask, one action after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from bunraku.errors import OverloadError
from bunraku.formats.control_action import Action, replaces

MOST_WAITING = 64


@dataclass(frozen=True, eq=False)
class Task:
    """action: what `run` does, for the message when it fails. answer: who asked waits for it."""

    run: Callable[[], Any]
    action: Action | None = None
    answer: Future[Any] | None = None


class ActionLane:
    """Runs what is put on its own thread, in order.

    At most 64 wait. A slider's older value that still waits, and that nobody waits for, is dropped
    for the newer one, so a knob that is turned for long never fills the queue. `on_error` is told
    what an action raised that nobody waits for.
    """

    def __init__(self, name: str, on_error: Callable[[Action, Exception], None]) -> None:
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: list[Task] = []
        self._busy = False
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=f"bunraku-{name}", daemon=True)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def put(self, action: Action, run: Callable[[], Any]) -> bool:
        """Any thread, without waiting for the action. False: too many wait, or it was stopped."""
        return self._add(Task(run, action))

    def ask(self, run: Callable[[], Any]) -> Future[Any]:
        """Any thread: what `run` returns or raises; OverloadError when too many wait or the lane
        was stopped before."""
        answer: Future[Any] = Future()
        if not self._add(Task(run, answer=answer)):
            answer.set_exception(OverloadError("too much waits to be done, or the session ended"))
        return answer

    def _add(self, task: Task) -> bool:
        with self._changed:
            if self._stopping:
                return False
            self._waiting = [older for older in self._waiting if not passed_over(older, task)]
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(task)
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
            dropped, self._waiting = self._waiting, []
            self._changed.notify_all()
        for task in dropped:
            if task.answer is not None and task.answer.set_running_or_notify_cancel():
                task.answer.set_exception(OverloadError("the session ended before it was done"))
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
                task = self._waiting.pop(0)
                self._busy = True
            self._do(task)

    def _do(self, task: Task) -> None:
        if task.answer is not None and not task.answer.set_running_or_notify_cancel():
            return
        try:
            done = task.run()
        except Exception as error:
            if task.answer is not None:
                task.answer.set_exception(error)
            elif task.action is not None:
                self._on_error(task.action, error)
        else:
            if task.answer is not None:
                task.answer.set_result(done)


def passed_over(older: Task, newer: Task) -> bool:
    """Whether `older` need not be done any more."""
    if older.answer is not None or older.action is None or newer.action is None:
        return False
    return replaces(newer.action, older.action)
