"""The chain of video effects: order, tiers, costs, one that fails; and frames between frames."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from bunraku.effects.video.chain import MOST_NETWORKS, VideoChain
from bunraku.effects.video.frame_interpolation import FrameInterpolator
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.scene_analyser import SceneAnalyser
from bunraku.effects.video.video_effect import VideoEffect, make_effect
from bunraku.errors import UserInputError
from bunraku.formats.control_action import PlacedEffect
from bunraku.formats.performance_shape import Picture
from bunraku.session.control.effect_rack import EffectRack
from bunraku.streaming.video_frame import Pixels, VideoFrame
from video_scenes import DrawnFaces, DrawnPerson, face_at, frame, play, someone

pytest.importorskip("cv2", reason="video effects need OpenCV: pip install 'bunraku[video]'")


class Brighter(VideoEffect):
    """Not in the package, so it is not in the catalogue either: it has no name of its own."""

    tiers: ClassVar[tuple[str, ...]] = ("by two", "by one")
    fails_at = -1
    opened = closed = 0

    def open(self) -> None:
        self.opened += 1

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        if scene.frame.number == self.fails_at:
            raise RuntimeError("out of paint")
        pixels //= 2
        pixels += 2 - tier
        return pixels

    def close(self) -> None:
        self.closed += 1


def test_effects_follow_one_another_each_with_its_tier() -> None:
    chain = VideoChain([Brighter(), make_effect("colour_look", strength=0.0), Brighter()])
    assert list(chain.effects) == ["", "colour_look", " 2"]
    chain.set_tier(" 2", 1)
    shown = chain.process(frame())
    np.testing.assert_array_equal(shown.pixels, (frame().pixels // 2 + 2) // 2 + 1)


def test_without_effects_the_frame_goes_through() -> None:
    given = frame()
    assert VideoChain([]).process(given) is given


def test_one_analysis_a_frame_serves_all_and_only_those_who_ask() -> None:
    person, faces = DrawnPerson(), DrawnFaces(face_at(80, 55, 40))
    effects = [make_effect(n) for n in ("background_blur", "background_remove", "colour_look")]
    chain = VideoChain(effects, SceneAnalyser(person, faces))
    play(chain, 3)
    assert (person.asked, faces.asked) == (3, 0)
    assert chain.analyses == ("person",)


def test_costs_are_told_with_the_analyses_apart() -> None:
    costs: list[tuple[str, int, int]] = []
    effects = [make_effect("background_blur"), make_effect("anonymise")]
    chain = VideoChain(effects, someone(), on_cost=lambda *cost: costs.append(cost))
    chain.set_tier("background_blur", 2)
    chain.set_tier("faces", 1)
    chain.process(frame())
    assert [(name, tier) for name, tier, _ in costs] == [
        ("background_blur", 2), ("anonymise", 0), ("person", 0), ("faces", 1),
    ]  # fmt: skip
    assert all(ns > 0 for _, _, ns in costs)


def test_an_effect_that_fails_is_off_and_the_others_go_on() -> None:
    failing = Brighter()
    failing.fails_at = 1
    told = []
    chain = VideoChain([failing, Brighter()], on_cost=lambda name, *_: told.append(name))
    shown = play(chain, 3)
    assert str(chain.errors[""]) == "out of paint"
    np.testing.assert_array_equal(shown[2].pixels, frame(2).pixels // 2 + 2)
    assert told == ["", " 2", " 2", " 2"]
    chain.reset()
    assert not chain.errors
    np.testing.assert_array_equal(
        chain.process(frame(2)).pixels, (frame(2).pixels // 2 + 2) // 2 + 2
    )


@pytest.mark.parametrize("name", ["anonymise", "background_blur", "background_remove"])
def test_what_hides_something_hides_all_once_it_fails(name: str) -> None:
    class Broken(DrawnPerson, DrawnFaces):
        def mask(self, frame: VideoFrame) -> None:  # type: ignore[override]
            raise RuntimeError("no model")

        faces = mask  # type: ignore[assignment]

    broken = Broken()
    chain = VideoChain([make_effect(name)], SceneAnalyser(broken, broken))  # type: ignore[arg-type]
    for shown in play(chain, 3):
        few = {tuple(colour) for colour in shown.pixels.reshape(-1, 3)}
        assert len(few) <= 16 * 12, "more colours than a coarse mosaic has squares"
    assert str(chain.errors[name]) == "no model"


def test_a_chain_that_cannot_open_is_closed_again() -> None:
    good = Brighter()
    bad = make_effect("background_replace", picture="/nowhere/beach.png")
    chain = VideoChain([good, bad], someone())
    with pytest.raises(OSError, match=r"beach\.png cannot be read"):
        chain.open()
    assert (good.opened, good.closed) == (1, 1)


def test_tiers_are_set_together() -> None:
    chain = VideoChain([make_effect("background_blur"), make_effect("colour_look")], someone())
    chain.use({"background_blur": 2, "colour_look": 1, "person": 2})
    assert chain.tiers == {"background_blur": 2, "colour_look": 1, "person": 2}


def test_tiers_and_names_out_of_range_are_refused() -> None:
    chain = VideoChain([make_effect("colour_look")])
    with pytest.raises(UserInputError, match="0 to 1"):
        chain.set_tier("colour_look", 2)
    with pytest.raises(UserInputError, match="colour_look"):
        chain.set_tier("person", 0)


def test_a_chain_has_few_networks() -> None:
    """Before any of them is opened."""
    looks = [make_effect("neural") for _ in range(MOST_NETWORKS + 1)]
    VideoChain([*looks[1:], *(Brighter() for _ in range(9))])
    with pytest.raises(UserInputError, match="5 neural effects: use at most 4"):
        VideoChain(looks)


def test_a_page_that_asks_for_many_networks_is_refused_and_nothing_changes() -> None:
    rack = EffectRack(lambda: None, Picture(), None)
    rack.arrange([PlacedEffect("neural", {})])
    slots = rack.slots
    with pytest.raises(UserInputError, match="16 neural effects: use at most 4"):
        rack.arrange([PlacedEffect("neural", {})] * 16)
    assert rack.slots == slots


# ---- frames between frames ----------------------------------------------------------------------


def test_a_frame_in_the_middle_shows_the_middle_of_the_motion() -> None:
    a, b = frame(0, (320, 240)), frame(4, (320, 240))
    middle = FrameInterpolator().between(a, b, 0.5)
    truth = frame(2, (320, 240)).pixels
    away = np.abs(middle.pixels.astype(int) - truth)[20:-20, 20:-20].mean()
    plain = np.abs((a.pixels.astype(int) + b.pixels) // 2 - truth)[20:-20, 20:-20].mean()
    assert away < 0.35 * plain
    assert (middle.time_ns, middle.number) == (2 * b.time_ns // 4, 2)


def test_the_ends_are_the_frames_themselves_and_a_cut_shows_no_mixture() -> None:
    a, b = frame(0), frame(1)
    maker = FrameInterpolator()
    assert maker.between(a, b, 0.0).pixels is a.pixels
    assert maker.between(a, b, 1.0).pixels is b.pixels
    black = VideoFrame(np.zeros_like(a.pixels), b.time_ns, 1)
    assert maker.between(a, black, 0.4).pixels is a.pixels
    assert maker.between(a, black, 0.6).pixels is black.pixels


def test_frames_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserInputError, match="one size"):
        FrameInterpolator().between(frame(0), frame(1, (80, 60)), 0.5)
    with pytest.raises(UserInputError, match="t is 2"):
        FrameInterpolator().between(frame(0), frame(1), 2)
