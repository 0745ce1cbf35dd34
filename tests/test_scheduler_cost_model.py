"""The cost model follows, forgets, and is not fooled by one outlier."""

from __future__ import annotations

import pytest
from bunraku.scheduler.clock import SimulatedClock
from bunraku.scheduler.cost_model import MOST_KEYS, CostKey, CostModel
from hypothesis import given
from hypothesis import strategies as st

MS = 1_000_000
SECOND = 1_000_000_000
FRAME_NS = SECOND // 30
KEY = CostKey("blur", (640, 480), "cpu")


class Feed:
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.model = CostModel(self.clock)

    def frames(self, *costs_ns: float) -> int:
        for cost in costs_ns:
            self.clock.advance(FRAME_NS)
            self.model.record(KEY, round(cost))
        known = self.model.p99_ns(KEY)
        assert known is not None
        return known


def test_nothing_is_known_at_first() -> None:
    assert CostModel(SimulatedClock()).p99_ns(KEY) is None


def test_a_constant_cost_is_its_own_p99() -> None:
    assert Feed().frames(*[10 * MS] * 100) == 10 * MS


def test_the_tail_counts() -> None:
    """Three of a hundred frames take 18 ms, spread: that is the cost to plan with."""
    costs = [18 * MS if k % 33 == 0 else 10 * MS for k in range(200)]
    assert Feed().frames(*costs) == 18 * MS


@pytest.mark.parametrize("before", [20, 60, 200])
def test_one_outlier_does_not_count(before: int) -> None:
    feed = Feed()
    assert feed.frames(*[10 * MS] * before, 900 * MS) == 10 * MS
    assert feed.frames(*[10 * MS] * 5) == 10 * MS


def test_the_first_run_is_forgotten_after_half_a_second() -> None:
    feed = Feed()
    assert feed.frames(1500 * MS) == 1500 * MS
    assert feed.frames(*[10 * MS] * 15) == 10 * MS


def test_a_rise_is_followed_within_a_second_and_forgotten_within_nine() -> None:
    feed = Feed()
    feed.frames(*[10 * MS] * 300)
    assert feed.frames(*[22 * MS] * 30) == 22 * MS
    feed.frames(*[22 * MS] * 30)
    assert feed.frames(*[10 * MS] * 30) == 22 * MS, "down is slow: the game may be back"
    assert feed.frames(*[10 * MS] * 240) == 10 * MS


def test_a_drift_is_followed() -> None:
    """2 % a second: never more than what a second and a half ago's cost would be."""
    feed = Feed()
    for k in range(30 * 60):
        cost = 10 * MS * (1 + 0.02 * k / 30)
        known = feed.frames(cost)
        if k > 30:
            assert 0 <= cost - known < 10 * MS * 0.02 * 1.5


@given(st.lists(st.integers(1, SECOND), min_size=1, max_size=80))
def test_it_is_one_of_what_was_measured(costs: list[int]) -> None:
    assert Feed().frames(*costs) in costs


def test_keys_do_not_grow_without_end() -> None:
    model = CostModel(SimulatedClock())
    for k in range(MOST_KEYS + 10):
        model.record(CostKey(f"effect {k}"), 1)
    assert model.p99_ns(CostKey("effect 0")) is None
    assert model.p99_ns(CostKey(f"effect {MOST_KEYS}")) == 1
