"""One call of a network for the frames of several sessions that share it."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bunraku.effects.video.neural_backend import NeuralBackend
from bunraku.effects.video.neural_model import Size
from bunraku.effects.video.scene import Mask, Scene
from bunraku.effects.video.video_effect import VideoEffect
from bunraku.streaming.video_frame import Pixels


@dataclass(eq=False)
class Inference:
    """What an effect asks of its network for one frame; the picture and its mask as in
    `NeuralBackend.show`. cost_ns: its share of the call, once that was made."""

    backend: NeuralBackend
    network: Hashable | None
    pixels: Pixels
    mask: Mask
    size: Size
    cost_ns: int = 0

    @property
    def alike(self) -> Hashable:
        """Equal for those that one call can make."""
        if self.network is None:
            return self
        return self.network, self.size, self.pixels.shape, self.mask.shape

    def make(self) -> Pixels:
        """Alone. Raises what the backend raises."""
        start_ns = time.monotonic_ns()
        try:
            return self.backend.show(self.pixels, self.mask, self.size)
        finally:
            self.cost_ns = time.monotonic_ns() - start_ns


class NetworkEffect(VideoEffect):
    """An effect that asks one network once a frame, at most."""

    @property
    def network(self) -> Hashable | None:
        """What it plays: equal for two effects whose frames one call can make for less than two
        calls. None where there is nothing to be won."""
        return None

    @abstractmethod
    def ask(self, pixels: Pixels, scene: Scene, tier: int) -> Inference | Pixels:
        """As `process`, as far as the network; the picture itself where this frame needs none."""

    @abstractmethod
    def take(self, pixels: Pixels, asked: Inference, made: Pixels) -> Pixels:
        """The rest of `process`: `made` is what the network made of `asked`."""

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        asked = self.ask(pixels, scene, tier)
        return self.take(pixels, asked, asked.make()) if isinstance(asked, Inference) else asked


def make_together(asked: Sequence[Inference]) -> list[Pixels | Exception]:
    """Those that are alike in one call. Where it fails each is made alone, so that what one of them
    raises, which stands in its place, is its own."""
    groups: defaultdict[Hashable, list[Inference]] = defaultdict(list)
    for inference in asked:
        groups[inference.alike].append(inference)
    made: dict[Inference, Pixels | Exception] = {}
    for group in groups.values():
        made.update(zip(group, made_of(group), strict=True))
    return [made[inference] for inference in asked]


def made_of(group: Sequence[Inference]) -> Sequence[Pixels | Exception]:
    if len(group) > 1:
        with suppress(Exception):
            return made_in_one_call(group)
    return [made_or_error(inference) for inference in group]


def made_in_one_call(group: Sequence[Inference]) -> list[Pixels]:
    first = group[0]
    start_ns = time.monotonic_ns()
    made = first.backend.show_all([(one.pixels, one.mask) for one in group], first.size)
    for inference in group:
        inference.cost_ns = (time.monotonic_ns() - start_ns) // len(group)
    return made


def made_or_error(inference: Inference) -> Pixels | Exception:
    try:
        return inference.make()
    except Exception as error:
        return error
