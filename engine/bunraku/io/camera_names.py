"""Which camera is meant by a number, a path or a part of a name."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from bunraku.errors import DeviceError

SYSFS = Path("/sys/class/video4linux")


@dataclass(frozen=True)
class CameraName:
    """A capture device of Linux: the n of /dev/videon, and what its driver calls it."""

    index: int
    name: str


def list_cameras(folder: Path = SYSFS) -> list[CameraName]:
    """By number. One camera may have several devices: only its first, which captures, is listed.
    Empty where there is no camera, and on systems that do not tell names."""
    found = []
    for device in sorted(folder.glob("video*")) if folder.is_dir() else []:
        if not device.name[5:].isdigit() or _text(device / "index") not in ("0", ""):
            continue
        found.append(CameraName(int(device.name[5:]), _text(device / "name") or device.name))
    return sorted(found, key=lambda camera: camera.index)


def choose_camera(device: int | str, folder: Path = SYSFS) -> int | str:
    """What OpenCV opens: a number, or the path of a device or file.

    Raises DeviceError that lists the cameras at hand.
    """
    if isinstance(device, int) or device.isdigit():
        return int(device)
    if "/" in device or Path(device).exists():
        if Path(device).exists():
            return device
        raise DeviceError(f"camera '{device}' does not exist; {at_hand(folder)}")
    cameras = list_cameras(folder)
    matches = [c for c in cameras if c.name.lower() == device.lower()]
    matches = matches or [c for c in cameras if device.lower() in c.name.lower()]
    if len(matches) == 1:
        return matches[0].index
    if matches:
        listed = ", ".join(f"{c.index} '{c.name}'" for c in matches)
        raise DeviceError(f"'{device}' fits several cameras: {listed}; give the number")
    raise DeviceError(f"'{device}' names no camera; {at_hand(folder)}")


def at_hand(folder: Path = SYSFS) -> str:
    """A sentence's end that says which cameras could be chosen."""
    if not sys.platform.startswith("linux"):
        return "names are known on Linux alone: give a number, 0 for the first camera"
    listed = ", ".join(f"{c.index} '{c.name}'" for c in list_cameras(folder))
    return f"at hand: {listed}" if listed else "no camera is plugged in; plug one in"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:200]
    except OSError:
        return ""
