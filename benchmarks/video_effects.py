"""What every video effect and analysis costs a frame, at each tier, on one core.

    python benchmarks/video_effects.py [--size 640x480] [--frames 100] [--only NAME] [--out FILE]

The bundled portrait moves and is noisy, as from a camera. The process is held on one core; `cpu` is
the time it computed, in all of its threads (what others took of the core is not in it), `wall` is
by the clock. See benchmarks/README.md and docs/video-effects.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bunraku import __version__
from bunraku.effects.video.face_tracking import FaceMeshTracker
from bunraku.effects.video.frame_interpolation import FrameInterpolator
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.scene_analyser import TIERS
from bunraku.effects.video.segmentation import PersonSegmenter
from bunraku.effects.video.video_effect import VideoEffect, catalogue, make_effect
from bunraku.measure.bench import machine_name
from bunraku.samples import PORTRAIT_PATH
from bunraku.streaming.video_frame import VideoFrame

RESULTS = Path(__file__).parent / "results"
SIZES = ((640, 480), (1280, 720))
PERIOD_NS = 33_333_333
WARM_UP = 10
DISTINCT = 20
QUANTILES = (0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Figure:
    """Milliseconds a frame: mean, p50, p95, p99 and the longest."""

    name: str
    tier: str
    width: int
    height: int
    frames: int
    cpu_ms: tuple[float, ...]
    wall_ms: tuple[float, ...]
    load_average: float


def frames_of(size: tuple[int, int]) -> list[VideoFrame]:
    """A person who sways by 40 pixels, with a camera's noise."""
    width, height = size
    side = width + 80
    large = cv2.resize(cv2.imread(str(PORTRAIT_PATH)), (side, side), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0)
    frames = []
    for number in range(DISTINCT):
        left = round(40 + 20 * np.sin(2 * np.pi * number / DISTINCT))
        part = large[20 : 20 + height, left : left + width]
        rough = np.clip(part + noise.normal(0, 4, part.shape), 0, 255).astype(np.uint8)
        frames.append(VideoFrame(np.ascontiguousarray(rough), number * PERIOD_NS, number))
    return frames


def endless(frames: list[VideoFrame]) -> Iterator[VideoFrame]:
    number = 0
    while True:
        yield VideoFrame(frames[number % len(frames)].pixels, number * PERIOD_NS, number)
        number += 1


def measured(
    name: str, tier: str, frames: list[VideoFrame], count: int, step: Callable[[Any], object],
    prepare: Callable[[VideoFrame], Any],
) -> Figure:  # fmt: skip
    """`prepare` is outside the clock, `step` inside."""
    cpu, wall = [], []
    for number, frame in zip(range(WARM_UP + count), endless(frames), strict=False):
        ready = prepare(frame)
        wall_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
        step(ready)
        if number >= WARM_UP:
            cpu.append((time.process_time_ns() - cpu_ns) / 1e6)
            wall.append((time.monotonic_ns() - wall_ns) / 1e6)
    width, height = frames[0].size
    load = os.getloadavg()[0]
    return Figure(name, tier, width, height, count, summary(cpu), summary(wall), load)


def summary(values: list[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 3) for v in (np.mean(values), *np.quantile(values, QUANTILES)))


class Known:
    """An analysis whose answer is there already: effects are measured without it."""

    def __init__(self, answers: dict[int, Any]) -> None:
        self._answers = answers

    def __call__(self, frame: VideoFrame) -> Any:
        return self._answers[frame.number % DISTINCT]


def effect_figures(
    effect: VideoEffect,
    label: str,
    frames: list[VideoFrame],
    count: int,
    known: tuple[Known, Known],
) -> Iterator[Figure]:
    effect.open()
    for tier, tier_name in enumerate(effect.tiers):

        def step(scene: Scene, tier: int = tier) -> object:
            return effect.process(scene.frame.pixels.copy(), scene, tier)

        def ready(frame: VideoFrame) -> Scene:
            scene = Scene(frame, *known)
            _ = scene.person, scene.faces
            return scene

        yield measured(label, tier_name, frames, count, step, ready)
    effect.close()


def analysis_figures(frames: list[VideoFrame], count: int) -> Iterator[Figure]:
    for every, tier in enumerate(TIERS, start=1):
        segmenter = PersonSegmenter(every)
        yield measured("person", tier, frames, count, segmenter.mask, lambda frame: frame)
        segmenter.close()
    for faces in (1, 4):
        for every, tier in enumerate(TIERS, start=1):
            tracker = FaceMeshTracker(faces, every)
            label = f"faces, up to {faces}"
            yield measured(label, tier, frames, count, tracker.faces, lambda frame: frame)
            tracker.close()


def interpolation_figures(frames: list[VideoFrame], count: int) -> Iterator[Figure]:
    maker = FrameInterpolator()
    before = [frames[-1]]

    def pair(frame: VideoFrame) -> tuple[VideoFrame, VideoFrame]:
        first, before[0] = before[0], frame
        return first, frame

    def step(two: tuple[VideoFrame, VideoFrame]) -> object:
        return maker.between(*two, 0.5)

    yield measured("frame interpolation", "one between two", frames, count, step, pair)


def cases(picture: str) -> list[tuple[str, VideoEffect]]:
    """Every effect with its usual settings, as far as it needs no model file of its own."""
    made = []
    for name, kind in catalogue().items():
        settings = {"picture": picture} if name == "background_replace" else {}
        required = {k for k, field in kind.Settings.model_fields.items() if field.is_required()}
        if name.startswith("neural") or required - settings.keys():
            continue  # measured by a benchmark of its own
        made.append((name, make_effect(name, **settings)))
        if name == "anonymise":
            made.append(("anonymise, blur", make_effect(name, style="blur")))
    return made


def run(size: tuple[int, int], count: int, only: str) -> Iterator[Figure]:
    frames = frames_of(size)
    segmenter, tracker = PersonSegmenter(), FaceMeshTracker()
    masks = Known({frame.number: segmenter.mask(frame) for frame in frames})
    faces = Known({frame.number: tracker.faces(frame) for frame in frames})
    segmenter.close()
    tracker.close()
    if only in "person faces":
        yield from analysis_figures(frames, count)
    with tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder) / "back.png")
        cv2.imwrite(picture, frames[0].pixels[:, ::-1])
        for label, effect in cases(picture):
            if only in label:
                yield from effect_figures(effect, label, frames, count, (masks, faces))
    if only in "frame interpolation":
        yield from interpolation_figures(frames, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", help="WIDTHxHEIGHT; both usual ones if not given")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--out", type=Path, default=RESULTS / "video_effects.json")
    said = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sizes = [tuple(map(int, said.size.split("x")))] if said.size else SIZES
    heads = f"{'size':>10}{'cpu mean':>10}{'p50':>8}{'p99':>8}{'wall p50':>10}{'p99':>8}"
    print(f"{'':24}{'tier':20}{heads}  ms")
    figures = []
    for width, height in sizes:
        for figure in run((width, height), said.frames, said.only):
            figures.append(figure)
            cpu, wall = figure.cpu_ms, figure.wall_ms
            print(
                f"{figure.name:24}{figure.tier:20}{f'{width}x{height}':>10}"
                f"{cpu[0]:10.2f}{cpu[1]:8.2f}{cpu[3]:8.2f}{wall[1]:10.2f}{wall[3]:8.2f}",
                flush=True,
            )
    report = {
        "bunraku": __version__,
        "machine": machine_name(),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "opencv": cv2.__version__,
        "columns": ["mean", "p50", "p95", "p99", "max"],
        "figures": [asdict(figure) for figure in figures],
    }
    said.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
