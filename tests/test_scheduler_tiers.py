"""Tier control alone: when it steps down, when up, and that it does not swing."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from bunraku.errors import UserInputError
from bunraku.scheduler.tier_control import TierControl
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
SECOND = 1_000_000_000
FRAME_NS = SECOND // 30


class Stage:
    """Frames at 30 a second; `cost_ms(time in s, rung)` says what each takes."""

    def __init__(self, control: TierControl) -> None:
        self.control = control
        self.now_ns = 0
        self.changes: list[tuple[float, int]] = []

    def play(self, seconds: float, cost_ms: Callable[[float, int], float]) -> None:
        end_ns = self.now_ns + round(seconds * SECOND)
        while self.now_ns < end_ns:
            before = self.control.rung
            cost_ns = round(cost_ms(self.now_ns / SECOND, before) * MS)
            done_ns = self.now_ns + cost_ns
            rung = self.control.observe(done_ns, cost_ns, cost_ns > FRAME_NS)
            if rung != before:
                self.changes.append((done_ns / SECOND, rung))
            # The newest frame wins: the next one begins at the first period after this one's end.
            self.now_ns += FRAME_NS * max(1, -(-cost_ns // FRAME_NS))


def test_calm_changes_nothing() -> None:
    stage = Stage(TierControl(3, FRAME_NS))
    stage.play(60, lambda t, rung: 20)
    assert stage.changes == []


@pytest.mark.parametrize("cost_ms", [34, 45, 60, 90, 150, 230, 400])
def test_trouble_is_answered_within_half_a_second(cost_ms: float) -> None:
    stage = Stage(TierControl(3, FRAME_NS))
    stage.play(10, lambda t, rung: 20)
    stage.play(2, lambda t, rung: cost_ms if rung == 0 else 10)
    assert [rung for _, rung in stage.changes][:1] == [1]
    assert stage.changes[0][0] - 10 <= 0.5


def test_one_slow_frame_is_no_trouble_but_a_long_one_is() -> None:
    stage = Stage(TierControl(3, FRAME_NS))
    stage.play(10, lambda t, rung: 60 if abs(t - 5) < 0.017 else 20)
    assert stage.changes == []
    stage.play(0.03, lambda t, rung: 300)
    assert [rung for _, rung in stage.changes] == [1]


def test_late_alone_is_trouble() -> None:
    control = TierControl(2, FRAME_NS)
    assert control.observe(FRAME_NS, 5 * MS, False) == 0
    assert control.observe(2 * FRAME_NS, 5 * MS, True) == 0
    assert control.observe(3 * FRAME_NS, 5 * MS, True) == 1


def test_without_costs_it_steps_down_one_at_a_time_and_far_enough() -> None:
    stage = Stage(TierControl(5, FRAME_NS))
    stage.play(2, lambda t, rung: 101 / (rung + 1))
    assert [rung for _, rung in stage.changes] == [1, 2, 3]
    assert stage.changes[-1][0] < 1.2


def test_with_costs_it_goes_straight_to_what_fits_and_straight_back() -> None:
    costs_ms = (20, 16, 12, 8, 6)
    control = TierControl(5, FRAME_NS, costs_ns=[c * MS for c in costs_ms])
    stage = Stage(control)
    stage.play(5, lambda t, rung: costs_ms[rung] * (2.2 if 1 <= t < 3 else 1.0))
    assert [rung for _, rung in stage.changes] == [2, 0]
    down, up = (t for t, _ in stage.changes)
    assert down - 1 < 0.2
    assert up - 3 < 2.1


def test_the_lowest_stays_the_lowest() -> None:
    stage = Stage(TierControl(2, FRAME_NS))
    stage.play(30, lambda t, rung: 100)
    assert [rung for _, rung in stage.changes] == [1]
    assert stage.control.at_the_end


def test_each_failed_step_up_waits_twice_as_long() -> None:
    stage = Stage(TierControl(2, FRAME_NS))
    stage.play(600, lambda t, rung: 40 if rung == 0 else 15)
    ups = [t for t, rung in stage.changes if rung == 0]
    waits = [later - earlier for earlier, later in pairwise(ups)]
    assert [round(wait) for wait in waits][:5] == [4, 8, 16, 32, 64]
    assert all(round(wait) == 120 for wait in waits[5:])
    assert len(ups) <= 10


def test_patience_returns_when_a_step_holds() -> None:
    stage = Stage(TierControl(2, FRAME_NS))
    stage.play(40, lambda t, rung: 40 if rung == 0 else 15)
    assert stage.control.patience_ns > 10 * SECOND
    stage.play(120, lambda t, rung: 15)
    assert stage.control.rung == 0
    assert stage.control.patience_ns == 2 * SECOND


def test_a_load_that_comes_and_goes_is_followed() -> None:
    """5 s of every 20 s, as the acceptance asks: down and up once each time, for ten minutes."""
    costs_ms = (22, 16, 10, 5)
    stage = Stage(TierControl(4, FRAME_NS, costs_ns=[c * MS for c in costs_ms]))
    stage.play(600, lambda t, rung: costs_ms[rung] * (2.0 if t % 20 < 5 else 1.0))
    ups = [t for t, rung in stage.changes if rung == 0]
    assert len(ups) == 30
    assert len(stage.changes) == 2 * 30
    assert all(t % 20 < 7.2 for t, _ in stage.changes), "back two seconds after the load went"


def test_a_freak_a_minute_does_not_forbid_the_way_up() -> None:
    stage = Stage(TierControl(2, FRAME_NS, start=1))
    stage.control._patience_ns = 120 * SECOND
    stage.play(130, lambda t, rung: 60 if t % 20 < 0.03 else 15)
    assert stage.control.rung == 0


def test_costs_of_another_day_do_not_forbid_the_way_up() -> None:
    """By the costs the better quality takes four times as long; in truth it takes the same."""
    stage = Stage(TierControl(2, FRAME_NS, costs_ns=[40 * MS, 10 * MS], start=1))
    stage.play(110, lambda t, rung: 15)
    assert stage.control.rung == 1
    stage.play(15, lambda t, rung: 15)
    assert stage.control.rung == 0


def test_the_way_up_is_asked_for() -> None:
    asked: list[int] = []

    def may_climb(rung: int) -> bool:
        asked.append(rung)
        return rung >= 1

    control = TierControl(3, FRAME_NS, costs_ns=[3, 2, 1], start=2, may_climb=may_climb)
    stage = Stage(control)
    stage.play(5, lambda t, rung: 5)
    assert [rung for _, rung in stage.changes] == [1]
    assert asked == [0, 1, 0], "and every patience again"


@settings(max_examples=40, deadline=None)
@given(
    border=st.floats(0.7, 1.4),
    jitter=st.floats(0.0, 0.5),
    rungs=st.integers(2, 6),
    known=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_constant_load_at_the_border_does_not_make_it_swing(
    border: float, jitter: float, rungs: int, known: bool, seed: int
) -> None:
    """At most 2 changes for each 10 s in the long run, whatever the noise; and where the noise is
    small enough to tell, the steps up become rare."""
    rng = random.Random(seed)
    costs = [round(FRAME_NS * border * 0.75**rung) for rung in range(rungs)]
    stage = Stage(TierControl(rungs, FRAME_NS, costs_ns=costs if known else None))
    stage.play(300, lambda t, rung: costs[rung] / MS * (1.0 + jitter * rng.uniform(-1.0, 1.0)))
    assert len(stage.changes) <= 60
    if jitter < 0.05:
        assert len([t for t, _ in stage.changes if t > 60]) <= 8


def test_slow_cameras_are_served_too() -> None:
    """Five frames a second: two late ones lie within the window."""
    control = TierControl(2, SECOND // 5)
    times = [k * SECOND // 5 for k in range(1, 4)]
    assert [control.observe(t, 250 * MS, True) for t in times][:2] == [0, 1]


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"rungs": 0, "period_ns": 1}, "rung 0 of 0"),
        ({"rungs": 2, "period_ns": 1, "start": 2}, "rung 2 of 2: use 0 to 1"),
        ({"rungs": 2, "period_ns": 0}, "period_ns is 0"),
        ({"rungs": 2, "period_ns": 1, "costs_ns": [1]}, "1 costs for 2 rungs"),
    ],
)
def test_wrong_settings_say_the_remedy(settings_: dict[str, object], says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        TierControl(**settings_)  # type: ignore[arg-type]
