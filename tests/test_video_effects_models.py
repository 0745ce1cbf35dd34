"""Segmentation and face tracking with the real models, on the bundled portrait."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.face_tracking import FaceMeshTracker
from bunraku.effects.video.one_euro import OneEuro
from bunraku.effects.video.scene_analyser import SceneAnalyser
from bunraku.effects.video.segmentation import (
    PersonSegmenter,
    SteadyMask,
    part_of_square,
    refined,
    shrunk,
)
from bunraku.effects.video.video_effect import make_effect
from bunraku.samples import PORTRAIT_PATH
from bunraku.session.calibration import CostTally, calibrate
from bunraku.streaming.video_frame import VideoFrame
from video_scenes import PERIOD_NS, fetched_or_skip

cv2 = pytest.importorskip("cv2", reason="video effects need OpenCV: pip install 'bunraku[video]'")
real_models = pytest.mark.usefixtures("models")


@pytest.fixture(scope="module")
def models() -> None:
    pytest.importorskip("mediapipe", reason="needs MediaPipe: pip install 'bunraku[video]'")
    for name in ("selfie_segmenter.tflite", "face_landmarker.task"):
        fetched_or_skip(name)


def portrait(number: int = 0, shift: int = 0, noise: float = 0.0) -> VideoFrame:
    """640x480, the person in the middle, moved to the left by `shift` pixels."""
    picture = cv2.resize(cv2.imread(str(PORTRAIT_PATH)), (720, 720))[
        30:510, 40 + shift : 680 + shift
    ]
    rough = picture + np.random.default_rng(number).normal(0, noise, picture.shape)
    pixels = np.clip(rough, 0, 255).astype(np.uint8)
    return VideoFrame(np.ascontiguousarray(pixels), number * PERIOD_NS, number)


@pytest.fixture
def segmenter() -> Iterator[PersonSegmenter]:
    made = PersonSegmenter()
    yield made
    made.close()


@real_models
def test_the_mask_is_the_person(segmenter: PersonSegmenter) -> None:
    mask = segmenter.mask(portrait())
    assert mask.shape == (480, 640)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    face, suit = mask[90:200, 230:320], mask[350:470, 150:380]
    flag, model_of_shuttle = mask[20:150, 10:60], mask[60:200, 520:620]
    assert face.mean() > 0.97
    assert suit.mean() > 0.97
    assert flag.mean() < 0.03
    assert model_of_shuttle.mean() < 0.03
    assert 0.3 < mask.mean() < 0.6
    assert ((mask > 0.1) & (mask < 0.9)).mean() < 0.04, "the edge is a haze"


@real_models
def test_a_wide_frame_keeps_its_proportions(segmenter: PersonSegmenter) -> None:
    """Squeezed into a square, what is light beside the neck was half taken for the person."""
    picture = cv2.imread(str(PORTRAIT_PATH))[20:280]
    wide = cv2.resize(picture[:, :462], (1280, 720), interpolation=cv2.INTER_CUBIC)
    mask = segmenter.mask(VideoFrame(wide, 0))
    assert mask[300:420, 900:].max() < 0.05
    assert mask[200:300, 560:640].min() > 0.95


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (360, 640), (4096, 16), (16, 4096)])
def test_every_shape_of_frame_fits_the_square(size: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), 77, np.uint8)
    assert (shrunk(pixels) == 77).all()
    assert shrunk(pixels).shape == (256, 256, 3)
    part = part_of_square(pixels)
    whole = np.ones((256, 256), np.float32)
    mask = refined(whole[part], whole[part] * 0.3, pixels)
    assert mask.shape == pixels.shape[:2]
    assert mask.min() > 0.99


@real_models
def test_the_edge_does_not_flicker_in_noise(segmenter: PersonSegmenter) -> None:
    masks = [segmenter.mask(portrait(n, noise=6)) for n in range(12)]
    jumps = [(np.abs(a - b) > 0.2).mean() for a, b in pairwise(masks[4:])]
    assert np.mean(jumps) < 0.001


@real_models
def test_the_mask_keeps_up_with_motion(segmenter: PersonSegmenter) -> None:
    for n in range(6):
        moving = segmenter.mask(portrait(n, shift=5 * n, noise=3))
    segmenter.reset()
    fresh = segmenter.mask(portrait(5, shift=25, noise=3))
    assert (np.abs(moving - fresh) > 0.5).mean() < 0.01


@real_models
def test_after_reset_the_analyses_are_as_fresh(segmenter: PersonSegmenter) -> None:
    tracker = FaceMeshTracker()
    results = []
    for _ in range(2):
        masks = [segmenter.mask(portrait(n, 4 * n)) for n in range(3)]
        faces = [tracker.faces(portrait(n, 4 * n))[0].landmarks for n in range(3)]
        results.append((masks[-1], faces[-1]))
        segmenter.reset()
        tracker.reset()
    tracker.close()
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


@real_models
def test_a_measured_chain_has_its_models_open() -> None:
    """Or the first frame that is shown would load one, on the thread that all sessions share."""
    tally = CostTally(lambda name, cost_ns: None)
    chain = VideoChain([make_effect("face_overlay")], on_cost=tally.add)
    chain.open()
    calibrate(chain, portrait(), tally)
    tracker = chain._analyser._tracker
    assert isinstance(tracker, FaceMeshTracker)
    task = tracker._task
    assert task is not None
    chain.process(portrait())
    assert tracker._task is task
    chain.close()


def test_a_tracker_that_is_not_open_stays_so() -> None:
    tracker = FaceMeshTracker()
    tracker.reset()
    assert tracker._task is None


@real_models
def test_a_held_mask_follows_at_a_third_of_the_asking(segmenter: PersonSegmenter) -> None:
    segmenter.every = 3
    asked = []
    ask = segmenter._ask
    segmenter._ask = lambda *a: (asked.append(1), ask(*a))[1]  # type: ignore[method-assign]
    masks = [segmenter.mask(portrait(n)) for n in range(7)]
    assert len(asked) == 3
    assert (np.abs(masks[0] - masks[-1]) > 0.5).mean() < 0.002


@real_models
def test_a_face_is_found_where_it_is() -> None:
    tracker = FaceMeshTracker(max_faces=2)
    faces = [tracker.faces(portrait(n)) for n in range(3)][-1]
    tracker.close()
    (face,) = faces
    assert face.landmarks.shape == (478, 3)
    left, top, width, height = face.box
    assert 200 < left < 226
    assert 115 < width < 140
    assert 55 < top < 82
    assert 140 < height < 165
    turned = face.to_camera[:3, :3]
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-3)


@real_models
def test_two_faces_keep_apart_and_the_larger_is_first() -> None:
    one = portrait().pixels[:, 120:440]
    small = cv2.resize(one, (240, 360))
    beside = np.full((480, 640, 3), 90, np.uint8)
    beside[:, :320], beside[60:420, 360:600] = one, small
    tracker = FaceMeshTracker(max_faces=2)
    for n in range(4):
        faces = tracker.faces(VideoFrame(beside, n * PERIOD_NS, n))
    tracker.close()
    assert len(faces) == 2
    assert faces[0].box[2] > faces[1].box[2]
    assert faces[0].box[0] < 320 < faces[1].box[0]


@real_models
def test_an_empty_room_has_nobody(segmenter: PersonSegmenter) -> None:
    grey = VideoFrame(np.full((480, 640, 3), 120, np.uint8), 0)
    tracker = FaceMeshTracker()
    assert segmenter.mask(grey).mean() < 0.05
    assert tracker.faces(grey) == ()
    tracker.close()


@real_models
def test_all_effects_at_once_on_the_portrait() -> None:
    names = ("background_blur", "beauty", "face_overlay", "colour_look", "anonymise")
    chain = VideoChain([make_effect(name) for name in names])
    chain.open()
    for depth in range(3):
        chain.use({name: min(depth, len(chain.tier_names(name)) - 1) for name in chain.tiers})
        shown = chain.process(portrait())
        assert not chain.errors
    chain.close()
    assert (
        np.abs(
            shown.pixels[100:190, 240:310].astype(int) - portrait().pixels[100:190, 240:310]
        ).mean()
        > 5
    )


@real_models
def test_models_are_opened_only_for_those_who_ask() -> None:
    segmenter, tracker = PersonSegmenter(), FaceMeshTracker()
    chain = VideoChain([make_effect("background_remove")], SceneAnalyser(segmenter, tracker))
    chain.open()
    assert segmenter._task is not None
    assert tracker._task is None
    chain.close()
    assert segmenter._task is None


# ---- what needs no model -------------------------------------------------------------------------


def test_one_euro_is_still_at_rest_and_quick_in_motion() -> None:
    rng = np.random.default_rng(0)
    rest = OneEuro(2.0, 8.0, 3.0)
    shaky = rng.normal(0, 0.005, (200, 1)).astype(np.float32)
    calm = np.array([rest.step(v, n * PERIOD_NS) for n, v in enumerate(shaky)])
    assert calm[20:].std() < 0.55 * shaky[20:].std()
    moving = OneEuro(2.0, 8.0, 3.0)
    for n in range(40):  # two face widths a second
        at = np.array([2.0 * n * PERIOD_NS / 1e9], np.float32)
        lag = at - moving.step(at, n * PERIOD_NS)
    assert 0 <= lag[0] < 0.05


def test_one_euro_starts_anew_after_a_gap_or_a_step_back() -> None:
    euro = OneEuro(2.0, 0.0)
    euro.step(np.zeros(1, np.float32), 0)
    assert euro.step(np.ones(1, np.float32), 10**9)[0] == 1
    assert euro.step(np.zeros(1, np.float32), 10**8)[0] == 0


def test_a_steady_mask_lets_go_where_the_picture_moves() -> None:
    still = np.full((256, 256), 0.5, np.float32)
    moving = still.copy()
    moving[:, 128:] = 0.9
    steady = SteadyMask()
    steady.take(np.zeros((256, 256), np.float32), still)
    after = steady.take(np.full((256, 256), 0.3, np.float32), moving)
    assert after[:, :100].max() < 0.1
    np.testing.assert_allclose(after[:, 160:], 0.3)
