"""What a page's control line needs of its session, whoever's devices they are."""

from __future__ import annotations

import secrets
from typing import Protocol

from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.messages import Offer
from bunraku.serving.recent_latency import RecentLatency
from bunraku.serving.voice_figures import VoiceFigures
from bunraku.session.control.desk import ControlDesk
from bunraku.session.video_session import VideoSession


class Watched(Protocol):
    """What has figures."""

    @property
    def desk(self) -> ControlDesk: ...

    @property
    def picture(self) -> VideoSession | None: ...

    @property
    def latency(self) -> RecentLatency:
        """Of the picture, from capture to the encoder."""

    def voice_figures(self) -> VoiceFigures: ...


class Visitor(Watched, Protocol):
    """key: what this tab's other connections must know. browser_is_microphone: the devices are the
    tab's."""

    key: str
    browser_is_microphone: bool

    @property
    def voice(self) -> BrowserVoice | None:
        """Whose sound comes from the tab; None where it does not."""

    def drop_voice_effects(self) -> None:
        """One written in Python failed or hangs: all of them go, at once."""

    async def begin(self) -> None:
        """The page is there. Raises BunrakuError."""

    async def offer(self, offer: Offer) -> str:
        """The WebRTC answer. Raises BunrakuError."""

    async def hang_up(self) -> None: ...
    async def close(self) -> None: ...
    def heard_clock(self, browser_ms: float, arrival_ns: int) -> None: ...


def new_key() -> str:
    return secrets.token_urlsafe(18)
