"""All open sessions: how many there may be, and which connection belongs to which."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bunraku.errors import OverloadError
from bunraku.serving import page_state
from bunraku.serving.browser_session import BrowserSession
from bunraku.serving.metrics import ServeMetrics
from bunraku.serving.settings import ServeSettings
from bunraku.serving.stage import Stage, StageVisitor
from bunraku.serving.visitor import Visitor

CONTROL_THREADS = 4


class Visitors:
    """On the event loop. Opens the stage, if there is to be one, and closes all at the end."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.metrics = ServeMetrics(self.figures)
        # Not the loop's own threads: a model that takes seconds to open must not hold up encoders.
        self._threads = ThreadPoolExecutor(CONTROL_THREADS, "bunraku-control")
        self._open: list[Visitor] = []
        self.stage = Stage(settings, self.metrics) if settings.server_devices else None

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, say: Callable[[str], None]) -> Visitor:
        """A new session. Raises OverloadError when as many as allowed are open."""
        most = self.settings.max_sessions
        if len(self._open) >= most:
            self.metrics.count_refused()
            raise OverloadError(
                f"{len(self._open)} of {most} sessions are open: close a tab, or start with a"
                " larger --max-sessions"
            )
        visitor: Visitor
        if self.stage is not None:
            visitor = StageVisitor(self.stage, say)
        else:
            visitor = BrowserSession(self.settings, self._threads, self.metrics, say)
        self._open.append(visitor)
        return visitor

    async def leave(self, visitor: Visitor) -> None:
        if visitor in self._open:
            self._open.remove(visitor)
            await visitor.close()

    def find(self, key: str) -> Visitor | None:
        """The session that the key belongs to."""
        found = None
        for visitor in self._open:
            if hmac.compare_digest(visitor.key.encode(), key.encode()):
                found = visitor
        return found

    def figures(self) -> list[dict[str, Any]]:
        if self.stage is not None:
            return [page_state.figures(self.stage)]  # once, however many look on
        return [page_state.figures(visitor) for visitor in list(self._open)]

    async def close(self) -> None:
        """Recordings are complete when this returns. Idempotent."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(self.leave(visitor) for visitor in list(self._open)), return_exceptions=True
        )
        stage, self.stage = self.stage, None
        if stage is not None:
            await loop.run_in_executor(self._threads, stage.close)
        self._threads.shutdown(wait=False)
