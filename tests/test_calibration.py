"""What the parts of a chain cost, collected while it is measured and handed on while it plays."""

from __future__ import annotations

from bunraku.session.calibration import CostTally


def test_costs_are_handed_on_but_while_they_are_collected() -> None:
    told: list[tuple[str, int]] = []
    tally = CostTally(lambda name, cost_ns: told.append((name, cost_ns)))
    tally.add("blur", 0, 5)
    tally.collect()
    tally.add("blur", 0, 6)
    tally.finish()
    tally.add("blur", 1, 7)
    assert told == [("blur", 5), ("blur", 7)]


def test_typical_is_the_mean_of_a_tier_without_the_first_run() -> None:
    tally = CostTally(lambda name, cost_ns: None)
    tally.collect()
    for cost_ns in (1000, 10, 0, 20, 0):
        tally.add("person", 0, cost_ns)
    for cost_ns in (900, 6):
        tally.add("person", 1, cost_ns)
    assert tally.typical_ns("person", 0) == 8, "it runs for every second frame"
    assert tally.typical_ns("person", 1) == 6


def test_what_ran_once_counts_and_what_never_ran_costs_nothing() -> None:
    tally = CostTally(lambda name, cost_ns: None)
    tally.collect()
    tally.add("look", 0, 40)
    assert tally.typical_ns("look", 0) == 40
    assert tally.typical_ns("look", 1) == 0


def test_each_measurement_begins_anew() -> None:
    tally = CostTally(lambda name, cost_ns: None)
    for cost_ns in (100, 7):
        tally.collect()
        tally.add("look", 0, cost_ns)
        assert tally.typical_ns("look", 0) == cost_ns
        tally.finish()
