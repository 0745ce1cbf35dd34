"""A clap is heard when it is seen: the voice as it leaves the engine, the picture as it comes to
the screen, in simulated time."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_stage import Stage

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'bunraku[video]'")

TOLERANCE_MS = 2.0
SETTLED_S = 1.9
"""The third clap on: the delays are decided after ten frames."""

CASES = {
    "a slow voice": {"voice_output_ms": 180.0},
    "a slow picture": {"picture_takes_ms": 60.0, "stride": 2},
    "frames that are made up": {"picture_takes_ms": 60.0, "stride": 2, "interpolate": True},
    "three of four made up": {"stride": 4, "interpolate": True},
    "a slow voice, made up": {"voice_output_ms": 180.0, "stride": 2, "interpolate": True},
}
APART_MS = {
    "a slow voice": -175.0,
    "a slow picture": 40.0,
    "frames that are made up": 73.3,
    "three of four made up": 100.0,
    "a slow voice, made up": -141.7,
}


@pytest.mark.parametrize("case", CASES)
def test_a_clap_is_heard_when_it_is_seen(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, **CASES[case])  # type: ignore[arg-type]
    stage.play(6.2)
    skews_ms = stage.skews_ms(SETTLED_S)
    assert len(skews_ms) >= 3
    assert np.abs(skews_ms).max() <= TOLERANCE_MS, skews_ms
    sync = stage.performance.report().sync
    assert sync is not None
    assert abs(sync.skew_ms) <= TOLERANCE_MS


@pytest.mark.parametrize("case", CASES)
def test_left_alone_they_are_apart(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above would see if nothing were delayed."""
    stage = Stage(monkeypatch, keeps_step=False, **CASES[case])  # type: ignore[arg-type]
    stage.play(4.0)
    skews_ms = stage.skews_ms(SETTLED_S)
    assert len(skews_ms) >= 2
    assert np.median(skews_ms) == pytest.approx(APART_MS[case], abs=TOLERANCE_MS)


def test_what_making_up_adds_counts_as_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fourth of 30 frames a second, done after 20 ms, waits for three others: 120 ms."""
    stage = Stage(monkeypatch, stride=4, interpolate=True, budget_s=0.066)
    stage.play(2.0)
    picture = stage.performance.report().picture
    assert picture is not None
    assert picture.latency_ms.p50 == pytest.approx(120.0, rel=0.02)
    assert picture.shown >= 14
    assert picture.late == picture.shown - 1, "all but the first, which has none before it"
    assert picture.filled == 3 * (picture.shown - 1)
    assert picture.on_time_share == pytest.approx(1 / picture.captured)


def test_a_lower_quality_is_not_sought_for_what_making_up_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch, stride=2, interpolate=True, budget_s=0.04)
    stage.play(2.0)
    picture = stage.performance.report().picture
    assert picture is not None
    assert picture.late > 20
    assert picture.rung_changes == 0
