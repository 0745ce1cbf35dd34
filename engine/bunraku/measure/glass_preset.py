"""Which performance is measured: a preset's, or one made of a few words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.formats.performance import read_performance

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset


def wanted_performance(
    preset: Path | None,
    camera: int | str | None,
    window: bool,
    virtual_camera: bool,
    effects: Sequence[str],
) -> tuple[PerformancePreset, Path | None]:
    """The preset and its path; or one made of the options, with the test picture where no camera is
    named. Raises what reading a preset raises."""
    from bunraku.formats import performance_shape as shape

    if preset is not None:
        return read_performance(preset), preset
    source: shape.PictureSource = shape.BuiltInPicture(type="test")
    if camera is not None:
        source = shape.Camera(type="camera", name=camera)
    sinks: list[shape.Sink] = [shape.Window(type="window")] if window else []
    sinks += [shape.VirtualCamera(type="virtual_camera")] if virtual_camera else []
    picture = shape.Picture(source=source, effect=[shape.Effect(type=name) for name in effects])
    name = " + ".join([source.type if camera is None else f"camera {camera}", *effects])
    return shape.PerformancePreset(name=name, picture=picture, sink=sinks), None
