"""bunraku: a real-time neural-effects engine. Voice, face and time on one clock."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bunraku.effects.audio.native_model import load_model, pack_names
    from bunraku.session.endpoints import DeviceEndpoint, FileEndpoint
    from bunraku.session.live_session import LiveSession
    from bunraku.session.render import render

__all__ = [
    "DeviceEndpoint",
    "FileEndpoint",
    "LiveSession",
    "__version__",
    "load_model",
    "pack_names",
    "render",
]

# Where each public name lives; loaded on first use, so that `import bunraku` needs numpy alone.
_HOMES = {
    "load_model": "bunraku.effects.audio.native_model",
    "pack_names": "bunraku.effects.audio.native_model",
    "DeviceEndpoint": "bunraku.session.endpoints",
    "FileEndpoint": "bunraku.session.endpoints",
    "LiveSession": "bunraku.session.live_session",
    "render": "bunraku.session.render",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bunraku' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
