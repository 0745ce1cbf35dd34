"""What the page shows of a session, as JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from bunraku.effects.video.video_effect import path_settings
from bunraku.serving.recent_latency import RecentFigures
from bunraku.serving.visitor import Visitor, Watched
from bunraku.serving.visitor_text import for_visitor
from bunraku.session.control.desk import ControlDesk
from bunraku.session.control.effect_rack import Slot
from bunraku.session.control.setting_range import schemas
from bunraku.session.video_session import VideoSession


def state(visitor: Visitor) -> dict[str, Any]:
    """What changes when somebody changes it."""
    now = visitor.desk.state()
    return {
        "type": "state",
        "preset": now.preset,
        "effects": [
            {
                "key": slot.key,
                "name": slot.name,
                "effect": slot.effect.type,
                "on": slot.on,
                "settings": visible_settings(slot),
            }
            for slot in now.effects
        ],
        "voice": {"model": now.voice, "effects": list(now.voice_effects)},
        "muted": now.muted,
        "camera": visitor.picture is not None,
        "recording": now.recording is not None,
        "recordings": [
            {"name": path.name, "address": f"/recordings/{visitor.key}/{path.name}"}
            for path in now.recorded
        ],
    }


def figures(visitor: Watched) -> dict[str, Any]:
    """What changes by itself."""
    recent = visitor.latency.figures(time.monotonic_ns())
    picture = visitor.picture
    return {
        "type": "figures",
        "voice": asdict(visitor.voice_figures()),
        "picture": None if picture is None else picture_figures(picture, visitor.desk, recent),
        "recording_s": visitor.desk.recording.seconds,
    }


def visible_settings(slot: Slot) -> dict[str, Any]:
    """Without the files: where they lie is nobody's business."""
    hidden = path_settings(slot.effect.type)
    default = {name: field.get("default") for name, field in schemas(slot.kind).items()}
    settings = {**default, **slot.effect.settings}
    return {name: value for name, value in settings.items() if name not in hidden}


def picture_figures(
    picture: VideoSession, desk: ControlDesk, recent: RecentFigures
) -> dict[str, Any]:
    """What changes by itself. recent: of the latency from capture to the encoder."""
    report = picture.report()
    running = {effect.name: effect for effect in report.effects}
    effects = []
    for slot in desk.state().effects:
        effect = running.get(desk.rack.chain_name(slot) or "")
        if effect is not None:
            effects.append(
                {
                    "key": slot.key,
                    "name": slot.effect.type,
                    "tier": effect.tier,
                    "tiers": list(effect.tiers),
                    "run_ms": effect.run_ms.p50,
                    "error": for_visitor(effect.error),
                }
            )
    return {
        "size": [report.width, report.height],
        "captured": report.captured,
        "shown": report.shown,
        "late": report.late,
        "dropped": report.replaced + report.skipped + report.source_dropped,
        "failed": report.failed + report.source_corrupt,
        "rung": report.rung,
        "rungs": report.rungs,
        "run_ms": report.run_ms.p50,
        "recent": asdict(recent),
        "effects": effects,
    }
