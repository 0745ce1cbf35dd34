"""What is shown for frames that were left out, when, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from bunraku.session.gap_filler import MOST_FILLED, GapFiller, filling_costs_ns
from bunraku.streaming.video_frame import VideoFrame

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'bunraku[video]'")

PERIOD_NS = 33_000_000


def frame(number: int, size: tuple[int, int] = (64, 48)) -> VideoFrame:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return VideoFrame(pixels, number * PERIOD_NS, number)


def filled(filler: GapFiller, made: VideoFrame, wanted: bool = True) -> list[tuple[int, int, bool]]:
    """(number, periods later than now, made up) of what comes out."""
    return [
        (one.number, later_ns // PERIOD_NS, one.interpolated)
        for one, later_ns in filler.fill(made, wanted)
    ]


def test_without_a_gap_frames_pass() -> None:
    filler = GapFiller(PERIOD_NS)
    for number in range(3):
        assert filled(filler, frame(number)) == [(number, 0, False)]


def test_what_is_missing_comes_before_one_each_period() -> None:
    filler = GapFiller(PERIOD_NS)
    assert filled(filler, frame(0)) == [(0, 0, False)]
    assert filled(filler, frame(2)) == [(1, 0, True), (2, 1, False)]
    assert filled(filler, frame(5)) == [(3, 0, True), (4, 1, True), (5, 2, False)]


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_each_frame_is_as_late_as_the_next(stride: int) -> None:
    """Taken as ready the moment it is captured: shown later by the frames that are missing."""
    filler, late = GapFiller(PERIOD_NS), []
    for number in range(0, 5 * stride, stride):
        for one, later_ns in filler.fill(frame(number)):
            late.append(number * PERIOD_NS + later_ns - one.time_ns)
    assert late[1:] == [(stride - 1) * PERIOD_NS] * (len(late) - 1)


@pytest.mark.parametrize(
    "following",
    [frame(MOST_FILLED + 2), frame(2, (32, 24)), frame(0)],
    ids=["a long gap", "another size", "an older one"],
)
def test_what_cannot_be_guessed_is_not_filled(following: VideoFrame) -> None:
    filler = GapFiller(PERIOD_NS)
    filled(filler, frame(0))
    assert filled(filler, following) == [(following.number, 0, False)]


def test_what_is_not_wanted_is_not_filled() -> None:
    filler = GapFiller(PERIOD_NS)
    filled(filler, frame(0))
    assert filled(filler, frame(2), wanted=False) == [(2, 0, False)]
    assert [number for number, _, _ in filled(filler, frame(4))] == [3, 4]


def test_the_cost_of_filling_is_measured_for_each_gap() -> None:
    costs_ns = filling_costs_ns(frame(0, (160, 120)))
    assert list(costs_ns) == [1, 2, 3]
    assert all(cost_ns > 0 for cost_ns in costs_ns.values())
