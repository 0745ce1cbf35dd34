"""What every video effect must keep to, and what each one does to a picture that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.effects.video import face_mesh
from bunraku.effects.video.anonymise import Anonymise
from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.colour_table import ColourTable
from bunraku.effects.video.cube_file import Cube
from bunraku.effects.video.scene import Face
from bunraku.effects.video.scene_analyser import SceneAnalyser
from bunraku.effects.video.video_effect import VideoEffect, catalogue, make_effect
from bunraku.errors import UserInputError
from bunraku.streaming.video_frame import Pixels
from video_scenes import (
    PERIOD_NS,
    DrawnFaces,
    DrawnPerson,
    effect_named,
    face_at,
    frame,
    nobody,
    play,
    someone,
)

pytest.importorskip("cv2", reason="video effects need OpenCV: pip install 'bunraku[video]'")
OURS = (
    "anonymise", "background_blur", "background_remove", "background_replace", "beauty",
    "colour_look", "face_overlay",
)  # fmt: skip
EVERY = sorted(catalogue())


def test_the_effects_are_in_the_catalogue() -> None:
    assert set(OURS) <= set(EVERY)


@pytest.fixture(params=EVERY)
def effect(request: pytest.FixtureRequest, tmp_path: Path) -> VideoEffect:
    return effect_named(request.param, tmp_path)


def opened(effect: VideoEffect, analyser: SceneAnalyser | None = None) -> VideoChain:
    chain = VideoChain([effect], analyser or someone())
    chain.open()
    return chain


def test_every_tier_keeps_shape_and_leaves_the_camera_frame_alone(effect: VideoEffect) -> None:
    chain = opened(effect)
    for tier in range(len(effect.tiers)):
        chain.set_tier(effect.name, tier)
        given = frame(tier)
        kept = given.pixels.copy()
        shown = chain.process(given)
        assert not chain.errors
        assert shown.pixels.shape == kept.shape
        assert shown.pixels.dtype == np.uint8
        assert shown.pixels.flags["C_CONTIGUOUS"]
        assert (shown.time_ns, shown.number) == (given.time_ns, given.number)
        np.testing.assert_array_equal(given.pixels, kept)
        assert (shown.pixels != kept).any(), f"tier {tier} changed nothing"
    chain.close()
    chain.close()


def test_after_reset_it_is_as_fresh(effect: VideoEffect) -> None:
    chain = opened(effect)
    first = play(chain)
    chain.reset()
    again = play(chain)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_frames_may_change_their_size(effect: VideoEffect) -> None:
    chain = opened(effect)
    for number, size in enumerate([(160, 120), (97, 61), (33, 240), (160, 120)]):
        shown = chain.process(frame(number, size))
        assert not chain.errors
        assert shown.size == size


def test_an_empty_picture_does_no_harm(effect: VideoEffect) -> None:
    chain = opened(effect, nobody())
    for shown in play(chain):
        assert shown.size == (160, 120)
    assert not chain.errors
    if "faces" in effect.needs:
        np.testing.assert_array_equal(shown.pixels, frame(3).pixels)


def test_settings_say_what_they_are(effect: VideoEffect) -> None:
    for name, field in type(effect).Settings.model_fields.items():
        assert field.description, f"{effect.name}.{name}"
    assert effect.summary


def numeric_settings() -> list[tuple[str, str, Any, Any]]:
    found = []
    for name, kind in catalogue().items():
        for key, field in kind.Settings.model_fields.items():
            lows = [m.ge for m in field.metadata if hasattr(m, "ge")]
            highs = [m.le for m in field.metadata if hasattr(m, "le")]
            found += [(name, key, low, -1) for low in lows]
            found += [(name, key, high, 1) for high in highs]
    return found


@pytest.mark.parametrize(("name", "key", "bound", "beyond"), numeric_settings())
def test_settings_beyond_their_range_are_refused(
    name: str, key: str, bound: Any, beyond: int, tmp_path: Path
) -> None:
    made = effect_named(name, tmp_path)
    made.change(**{key: bound})
    for wrong in (bound + beyond, float("nan"), "much"):
        with pytest.raises(UserInputError, match=key):
            made.change(**{key: wrong})
    assert getattr(made.settings, key) == bound


def test_unknown_settings_and_names_are_refused() -> None:
    with pytest.raises(UserInputError, match="strngth"):
        make_effect("background_blur", strngth=1.0)
    with pytest.raises(UserInputError, match="background_blur"):
        make_effect("backgroundblur")


def test_a_face_without_a_place_shows_nothing() -> None:
    """A matrix that cannot be turned round gives no numbers."""
    face = face_at(80, 60, 40)
    nowhere = Face(face.landmarks, face.box, np.full((4, 4), np.nan, np.float32))
    chain = opened(make_effect("face_overlay"), SceneAnalyser(DrawnPerson(), DrawnFaces(nowhere)))
    shown = chain.process(frame())
    assert not chain.errors
    np.testing.assert_array_equal(shown.pixels, frame().pixels)


# ---- what each does -----------------------------------------------------------------------------


def shown_by(
    effect: VideoEffect, picture: Pixels, analyser: SceneAnalyser, tier: int = 0
) -> Pixels:
    chain = opened(effect, analyser)
    chain.set_tier(effect.name, tier)
    shown = chain.process(frame().with_pixels(picture))
    assert not chain.errors, chain.errors
    return shown.pixels


@pytest.mark.parametrize("tier", [0, 1, 2])
def test_blur_has_no_halo(tier: int) -> None:
    """A white person before black: nothing outside may turn grey."""
    person = DrawnPerson().mask(frame())
    picture = np.repeat((person > 0).astype(np.uint8)[..., None] * 255, 3, axis=2)
    shown = shown_by(make_effect("background_blur", strength=1.0), picture, someone(), tier)
    assert shown[person == 0].mean() < 6
    assert (shown[person == 1] == 255).all()


def test_blur_takes_the_room_out_of_focus() -> None:
    person = DrawnPerson().mask(frame())
    picture = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    shown = shown_by(make_effect("background_blur", strength=1.0), picture, someone())
    assert shown[person == 0].std() < 0.15 * picture[person == 0].std()
    np.testing.assert_array_equal(shown[person == 1], picture[person == 1])


@pytest.mark.parametrize("tier", [0, 1])
def test_removal_puts_one_colour_behind(tier: int) -> None:
    person = DrawnPerson().mask(frame())
    green = make_effect("background_remove", red=10, green=250, blue=30)
    shown = shown_by(green, frame().pixels, someone(), tier)
    assert (shown[person == 0] == (30, 250, 10)).all()
    np.testing.assert_array_equal(shown[person == 1], frame().pixels[person == 1])


def test_removal_moves_its_edge() -> None:
    counts = []
    for edge in (-1.0, -0.4, 0.0, 0.4, 1.0):
        effect = make_effect("background_remove", edge=edge)
        shown = shown_by(effect, np.zeros((120, 160, 3), np.uint8), someone())
        counts.append(int((shown[..., 1] < 128).sum()))
    assert counts == sorted(counts)
    assert counts[0] < counts[2] < counts[-1]


def test_colour_table_is_close_to_the_look() -> None:
    """Seven bits with the lowest one added: within 2 of the exact look, for a steep one too."""
    steps = np.linspace(0, 1, 33, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    look = Cube(np.stack([red**0.8, green * 0.7 + 0.1 * blue, 1 - 0.9 * blue], axis=-1))
    table = ColourTable(look, 7)
    x = np.arange(256, dtype=np.float32)
    ramp = np.repeat(x.astype(np.uint8).reshape(16, 16, 1), 3, axis=2)
    exact = np.stack([1 - 0.9 * x / 255, 0.8 * x / 255, (x / 255) ** 0.8], axis=1) * 255
    away = np.abs(table.apply(ramp).reshape(-1, 3) - exact)
    assert away[16:].max() <= 2.5  # near black, x**0.8 is steeper than the file's own grid


@pytest.mark.parametrize("bits", [5, 7])
def test_an_identity_look_changes_nothing(bits: int) -> None:
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")[::-1], axis=-1)
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    shown = ColourTable(Cube(corners.astype(np.float32)), bits).apply(picture)
    np.testing.assert_array_equal(shown, picture)


def test_beauty_calms_skin_and_leaves_eyes_and_the_rest() -> None:
    import cv2

    skin = np.array([120, 150, 200])
    noise = np.random.default_rng(2).normal(0, 6, (120, 160, 1))
    picture = np.clip(skin + noise, 0, 255).astype(np.uint8)
    shown = shown_by(make_effect("beauty", strength=1.0, texture=0.0), picture, someone())
    face = face_at(80, 55, 44)
    eye = cv2.convexHull(face_mesh.points_at(face, face_mesh.LEFT_EYE)).reshape(-1, 2)
    eyes = np.zeros((120, 160), np.uint8)
    cv2.fillPoly(eyes, [np.rint(face_mesh.grown(eye, 0.6)).astype(np.int32)], 1)
    change = np.abs(shown.astype(int) - picture).max(axis=2)
    assert change[eyes > 0].mean() < 0.5 * change[52:60, 74:86].mean()
    assert shown[52:60, 74:86].std(axis=(0, 1)).max() < picture[52:60, 74:86].std(axis=(0, 1)).min()
    np.testing.assert_array_equal(shown[:20], picture[:20])


def test_overlay_turns_with_the_head() -> None:
    """A head tilted by 30 degrees tilts the glasses by as much, to the same side."""
    angle = np.deg2rad(30)
    tilted = face_at(80, 60, 60)
    tilted.to_camera[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    picture = np.full((120, 160, 3), 255, np.uint8)
    analyser = SceneAnalyser(DrawnPerson(), DrawnFaces(tilted))
    shown = shown_by(make_effect("face_overlay"), picture, analyser)
    y, x = np.nonzero(shown.min(axis=2) < 128)
    slope = np.polyfit(x, y, 1)[0]
    # The head's right-hand axis points up in the picture: y falls as x rises.
    assert -0.75 < slope < -0.4


def test_overlay_beyond_the_picture_is_cut_off() -> None:
    for x, y in ((0, 0), (159, 119), (-400, 50), (80, 900)):
        analyser = SceneAnalyser(DrawnPerson(), DrawnFaces(face_at(x, y, 60)))
        shown_by(make_effect("face_overlay", size=4.0), frame().pixels, analyser)


# ---- anonymise: what must not be seen ------------------------------------------------------------


def hidden_part(effect: VideoEffect, faces: DrawnFaces, seconds: float) -> Any:
    """Where the picture is covered, bool [120, 160], at that time."""
    scene = SceneAnalyser(DrawnPerson(), faces).scene(frame(0))
    checks = np.indices((120, 160)).sum(axis=0) % 2 * 255
    picture = np.repeat(checks.astype(np.uint8)[..., None], 3, axis=2)
    scene.frame = type(scene.frame)(picture, round(seconds * 1e9), 0)
    shown = effect.process(picture.copy(), scene, 0)
    return (shown != picture).any(axis=2)


@pytest.mark.parametrize("style", ["mosaic", "blur"])
def test_the_whole_face_is_hidden(style: str) -> None:
    import cv2

    face = face_at(80, 55, 44)
    covered = hidden_part(make_effect("anonymise", style=style), DrawnFaces(face), 0)
    hull = np.zeros((120, 160), np.uint8)
    cv2.fillConvexPoly(hull, np.rint(face_mesh.hull_of(face)).astype(np.int32), 1)
    assert covered[hull > 0].mean() > 0.99


def test_a_lost_face_stays_hidden_by_a_growing_cover_for_its_time() -> None:
    effect = make_effect("anonymise", hold_s=1.0)
    faces = DrawnFaces(face_at(80, 55, 30))
    areas = [hidden_part(effect, faces, 0).sum()]
    faces.shown = ()
    areas += [hidden_part(effect, faces, t).sum() for t in (0.1, 0.5, 1.0)]
    assert areas == sorted(areas)
    assert areas[-1] > 3 * areas[0]
    assert hidden_part(effect, faces, 1.05).sum() == 0


def test_a_face_found_again_ends_its_old_cover_but_not_another_ones() -> None:
    effect = make_effect("anonymise")
    assert isinstance(effect, Anonymise)
    faces = DrawnFaces(face_at(40, 60, 24), face_at(120, 60, 24))
    hidden_part(effect, faces, 0)
    faces.shown = (face_at(44, 60, 24),)
    covered = hidden_part(effect, faces, 0.1)
    assert covered[60, 44]
    assert covered[60, 120], "the other face was lost and must stay covered"
    assert len(effect._covers) == 2


def test_the_whole_picture_is_hidden_without_a_face_if_wished() -> None:
    effect = make_effect("anonymise", whole_frame_without_face=True)
    faces = DrawnFaces()
    assert hidden_part(effect, faces, 0).mean() > 0.99
    faces.shown = (face_at(80, 55, 30),)
    assert hidden_part(effect, faces, 0.1).mean() < 0.5
    faces.shown = ()
    assert hidden_part(effect, faces, 0.6).mean() < 0.9
    assert hidden_part(effect, faces, 0.1 + 1.0 + PERIOD_NS / 1e9).mean() > 0.99
