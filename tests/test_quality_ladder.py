"""One row of qualities out of the tiers of several effects."""

from __future__ import annotations

from itertools import pairwise

from bunraku.session.quality_ladder import quality_ladder
from hypothesis import given
from hypothesis import strategies as st

COSTS = st.dictionaries(
    st.sampled_from("abcde"), st.lists(st.integers(0, 10**8), min_size=1, max_size=4)
)


def test_lowers_what_saves_most_first_then_skips_frames() -> None:
    ladder = quality_ladder({"blur": [10, 8], "look": [40, 20, 5]})
    assert [(r.tiers["blur"], r.tiers["look"], r.stride) for r in ladder] == [
        (0, 0, 1), (0, 1, 1), (0, 2, 1), (1, 2, 1), (1, 2, 2), (1, 2, 3), (1, 2, 4),
    ]  # fmt: skip
    assert [r.cost_ns for r in ladder] == [50, 30, 15, 13, 6, 4, 3]


def test_a_tier_that_saves_nothing_is_passed_over() -> None:
    assert [r.tiers["a"] for r in quality_ladder({"a": [10, 12, 7]})][:2] == [0, 2]


def test_no_lower_than_allowed() -> None:
    ladder = quality_ladder({"a": [9, 5, 1], "b": [9, 5, 1]}, lowest={"a": 1, "b": 0})
    assert [(r.tiers["a"], r.tiers["b"]) for r in ladder if r.stride == 1] == [(0, 0), (1, 0)]


def test_making_up_skipped_frames_is_counted_in() -> None:
    ladder = quality_ladder({"look": [20]}, overhead_ns=4, filling_ns={1: 4, 2: 6, 3: 8})
    assert [(r.stride, r.cost_ns, r.fills) for r in ladder] == [
        (1, 24, False), (2, 14, True), (3, 10, True), (4, 8, True),
    ]  # fmt: skip


def test_frames_are_not_made_up_where_that_costs_more_than_it_saves() -> None:
    ladder = quality_ladder({"look": [10]}, filling_ns={1: 14, 2: 18, 3: 22})
    assert [(r.stride, r.cost_ns, r.fills) for r in ladder] == [
        (1, 10, False), (2, 5, False), (3, 3, False), (4, 2, False),
    ]  # fmt: skip


FILLING = st.none() | st.fixed_dictionaries({k: st.integers(0, 10**8) for k in (1, 2, 3)})


@given(COSTS, st.integers(0, 10**7), FILLING)
def test_every_step_is_cheaper(
    costs: dict[str, list[int]], overhead: int, filling_ns: dict[int, int] | None
) -> None:
    ladder = quality_ladder(costs, overhead_ns=overhead, filling_ns=filling_ns)
    whole = [r for r in ladder if r.stride == 1]
    assert all(a.cost_ns > b.cost_ns for a, b in pairwise(whole))
    assert all(a.cost_ns >= b.cost_ns for a, b in pairwise(ladder))
    assert all(0 <= r.tiers[n] < len(c) for r in ladder for n, c in costs.items())
