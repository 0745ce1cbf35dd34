"""Whether a performance can go over to another preset while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.errors import UserInputError

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset

VOICE_STAYS = ("source", "sink", "block_frames", "sample_rate_hz", "channels", "size")
PICTURE_STAYS = ("source", "interpolate")


def check_fit(running: PerformancePreset, wanted: PerformancePreset, same_folder: bool) -> None:
    """Raises UserInputError that names what `wanted` has otherwise and cannot be exchanged: where
    sound and picture come from and go to, and what the audio thread was built for. same_folder:
    whether files of the same name are the same."""
    other = misfits(running, wanted)
    if not same_folder:
        other += [name for name in files_in(wanted) if name not in other]
    if other:
        raise UserInputError(
            f"it has another {', '.join(other)} than what runs: end the performance and start"
            " that preset"
        )


def misfits(running: PerformancePreset, wanted: PerformancePreset) -> list[str]:
    other: list[str] = []
    for half, stays in (("voice", VOICE_STAYS), ("picture", PICTURE_STAYS)):
        before, after = getattr(running, half), getattr(wanted, half)
        if before is None or after is None:
            other += [half] if before is not after else []
            continue
        other += [f"{half}.{k}" for k in stays if getattr(before, k) != getattr(after, k)]
    return other + (["sink"] if running.sink != wanted.sink else [])


def files_in(preset: PerformancePreset) -> list[str]:
    """Which sources are files."""
    sources = {
        "voice.source": preset.voice.source if preset.voice else None,
        "picture.source": preset.picture.source if preset.picture else None,
    }
    return [name for name, source in sources.items() if getattr(source, "type", "") == "file"]


def same_folder(one: Path | None, other: Path | None) -> bool:
    """Of presets; None: the current folder."""
    folders = [Path.cwd() if path is None else path.resolve().parent for path in (one, other)]
    return folders[0] == folders[1]
