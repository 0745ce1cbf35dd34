"""The video effects of one performance, one after the other, each with its tier and its cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from typing import TypeVar

from bunraku.effects.video.neural_batch import Inference, NetworkEffect, make_together
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.scene_analyser import FACES, PERSON, TIERS, SceneAnalyser
from bunraku.effects.video.video_effect import VideoEffect
from bunraku.errors import UserInputError
from bunraku.streaming.video_frame import Pixels, VideoFrame

OnCost = Callable[[str, int, int], None]
"""Called with (effect's name, its tier, nanoseconds) for each frame; analyses are called "person"
and "faces", and their time is not in the effects'."""
Tiers = dict[str, int]
"""A tier for each effect and analysis by name."""
MOST_NETWORKS = 4
"""In one chain: each holds memory and threads of its own. 16 took 114 threads and 845 MB."""
Made = TypeVar("Made")
Steps = Generator[Inference, Pixels, Made]
"""Work that stops where a network is to run, goes on with what it made, and gives `Made`."""


class VideoChain:
    """`open`, then `process` from one thread, then `close`.

    Two effects of one kind are told apart by a number: "anonymise", "anonymise 2". An effect that
    raises is switched off and its error kept in `errors`; the others go on. In its place its
    `conceal` is shown until it is mended by `reset`. Raises UserInputError for more than 4 neural
    effects.
    """

    def __init__(
        self,
        effects: Sequence[VideoEffect],
        analyser: SceneAnalyser | None = None,
        on_cost: OnCost | None = None,
    ) -> None:
        check_networks(effects)
        self.effects = numbered(effects)
        self.errors: dict[str, Exception] = {}
        self._analyser = analyser or SceneAnalyser(max_faces=faces_wanted(effects))
        self._on_cost = on_cost
        self._tiers: Tiers = dict.fromkeys([*self.effects, *self.analyses], 0)

    @property
    def analyses(self) -> tuple[str, ...]:
        """ "person" and "faces", as far as an effect needs them."""
        needed: set[str] = set().union(*(effect.needs for effect in self.effects.values()))
        return tuple(name for name in (PERSON, FACES) if name in needed)

    @property
    def tiers(self) -> Tiers:
        """As they are now."""
        return dict(self._tiers)

    def tier_names(self, name: str) -> tuple[str, ...]:
        """Of an effect or analysis, dearest first. Raises UserInputError."""
        if name in self.effects:
            return self.effects[name].tiers
        if name in self._tiers:
            return TIERS
        raise UserInputError(f"nothing is named '{name}' here; there is {', '.join(self._tiers)}")

    def set_tier(self, name: str, tier: int) -> None:
        """From the next frame on. Raises UserInputError."""
        names = self.tier_names(name)
        if not 0 <= tier < len(names):
            raise UserInputError(f"tier {tier} of {name}: 0 to {len(names) - 1}, {names}")
        self._tiers[name] = tier
        if name not in self.effects:
            self._analyser.set_tier(name, tier)

    def use(self, tiers: Mapping[str, int]) -> None:
        """As `set_tier`, several at once."""
        for name, tier in tiers.items():
            self.set_tier(name, tier)

    def open(self) -> None:
        """Effects and the models they need. Raises what the first of them raises; what was open by
        then is closed again."""
        try:
            self._analyser.prepare(self.analyses)
            for effect in self.effects.values():
                effect.open()
        except BaseException:
            self.close()
            raise

    def batch_key(self, frame: VideoFrame) -> Hashable | None:
        """Equal for frames that it pays to give to `process_together` with their chains: the same
        networks at the same tiers and size. None: nothing is to be won by it. From any thread."""
        networks = tuple(
            (effect.network, self._tiers[name])
            for name, effect in self.effects.items()
            if isinstance(effect, NetworkEffect)
            and effect.network is not None
            and name not in self.errors
        )
        return (frame.size, networks) if networks else None

    def process(self, frame: VideoFrame) -> VideoFrame:
        """The frame after all effects; `frame` itself is not written to."""
        return process_together([(self, frame)])[0]

    def steps(self, frame: VideoFrame) -> Steps[VideoFrame]:
        """As `process`, but networks are left to the caller."""
        if not self.effects:
            return frame
        scene = self._analyser.scene(frame)
        pixels = frame.pixels.copy()
        for name, effect in self.effects.items():
            pixels = yield from self._apply(name, effect, pixels, scene)
        if self._on_cost is not None:
            for analysis, spent_ns in self._analyser.spent_ns.items():
                self._on_cost(analysis, self._tiers.get(analysis, 0), spent_ns)
        return frame.with_pixels(pixels)

    def reset(self) -> None:
        """As after a cut; effects that had failed are tried again."""
        self.errors.clear()
        self._analyser.reset()
        for effect in self.effects.values():
            effect.reset()

    def close(self) -> None:
        """Idempotent."""
        for effect in self.effects.values():
            effect.close()
        self._analyser.close()

    def _apply(self, name: str, effect: VideoEffect, pixels: Pixels, scene: Scene) -> Steps[Pixels]:
        if name in self.errors:
            return effect.conceal(pixels)
        tier = self._tiers[name]
        start_ns = time.monotonic_ns()
        before_ns = sum(self._analyser.spent_ns.values())
        try:
            out, away_ns = yield from played(effect, pixels, scene, tier)
            if out.shape != scene.frame.pixels.shape or out.dtype != pixels.dtype:
                raise UserInputError(f"{name} gave {out.dtype} {out.shape}, not a frame's picture")
        except Exception as error:
            self.errors[name] = error
            return effect.conceal(pixels)
        if self._on_cost is not None:
            analysed_ns = sum(self._analyser.spent_ns.values()) - before_ns
            spent_ns = time.monotonic_ns() - start_ns - away_ns
            self._on_cost(name, tier, spent_ns - analysed_ns)
        return out


def played(
    effect: VideoEffect, pixels: Pixels, scene: Scene, tier: int
) -> Steps[tuple[Pixels, int]]:
    """The picture, and for how many nanoseconds others were at work meanwhile."""
    if not isinstance(effect, NetworkEffect):
        return effect.process(pixels, scene, tier), 0
    asked = effect.ask(pixels, scene, tier)
    if not isinstance(asked, Inference):
        return asked, 0
    asked_ns = time.monotonic_ns()
    made = yield asked
    away_ns = time.monotonic_ns() - asked_ns - asked.cost_ns
    return effect.take(pixels, asked, made), away_ns


def process_together(work: Sequence[tuple[VideoChain, VideoFrame]]) -> list[VideoFrame]:
    """Each frame through its chain, as `process` does it; what networks they share is run in one
    call for all that have come as far. The chains are different ones."""
    steps = [chain.steps(frame) for chain, frame in work]
    done: dict[int, VideoFrame] = {}
    answers: dict[int, Pixels | Exception | None] = dict.fromkeys(range(len(work)))
    while answers:
        asked: dict[int, Inference] = {}
        for k, answer in answers.items():
            try:
                asked[k] = resumed(steps[k], answer)
            except StopIteration as end:
                done[k] = end.value
        answers = dict(zip(asked, make_together(list(asked.values())), strict=True))
    return [done[k] for k in range(len(work))]


def resumed(steps: Steps[VideoFrame], answer: Pixels | Exception | None) -> Inference:
    """What is asked next. Raises StopIteration with the frame."""
    if isinstance(answer, Exception):
        return steps.throw(answer)
    return next(steps) if answer is None else steps.send(answer)


def check_networks(effects: Sequence[VideoEffect]) -> None:
    """Raises UserInputError for more than 4 that have a network of their own."""
    networks = sum(isinstance(effect, NetworkEffect) for effect in effects)
    if networks > MOST_NETWORKS:
        raise UserInputError(
            f"a chain with {networks} neural effects: use at most {MOST_NETWORKS}, each network"
            " takes memory and threads of its own"
        )


def numbered(effects: Sequence[VideoEffect]) -> dict[str, VideoEffect]:
    """By name; the second of a kind gets a number."""
    named: dict[str, VideoEffect] = {}
    for effect in effects:
        before = sum(other.name == effect.name for other in named.values())
        named[effect.name if before == 0 else f"{effect.name} {before + 1}"] = effect
    return named


def faces_wanted(effects: Sequence[VideoEffect]) -> int:
    return max((effect.max_faces for effect in effects), default=1)
