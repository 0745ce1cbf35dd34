"""What a page asked for and is not done yet: in order, without what it has thought better of."""

from __future__ import annotations

import asyncio
from collections import deque

from bunraku.errors import OverloadError
from bunraku.serving import messages

MOST_WAITING = 64


class MessageQueue:
    """On the event loop. Of the whole chains and of the presets that wait only the newest is left,
    of a slider its newest value."""

    def __init__(self) -> None:
        self._waiting: deque[messages.AnyMessage] = deque()
        self._something = asyncio.Event()

    def put(self, message: messages.AnyMessage) -> None:
        """Raises OverloadError when too many wait."""
        left = [older for older in self._waiting if not passed_over(older, message)]
        if len(left) >= MOST_WAITING:
            raise OverloadError("too much waits to be done: wait for what was asked for")
        self._waiting = deque([*left, message])
        self._something.set()

    async def next(self) -> messages.AnyMessage:
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        return self._waiting.popleft()


def passed_over(older: messages.AnyMessage, newer: messages.AnyMessage) -> bool:
    """Whether `older` need not be done any more."""
    match older, newer:
        case messages.ChoosePreset(), messages.ChoosePreset():
            return True
        case messages.SetEffects() | messages.ChangeEffect(), messages.SetEffects():
            return True  # a whole chain comes with all its settings
        case messages.ChangeEffect(), messages.ChangeEffect():
            return older.key == newer.key and set(older.settings) <= set(newer.settings)
        case messages.Offer() | messages.HangUp(), messages.Offer() | messages.HangUp():
            return True
    return False
