"""The share of the space that a run asked, counted from its results."""

from __future__ import annotations

import pytest

from convkit.conformance import coverage, problems
from convkit.conformance.entries import ENTRIES
from convkit.conformance.report import Result


def results(status: str, count: int | None = None) -> list[Result]:
    asked = problems.chosen("avg_pool", "quick", 0)[:count]
    return [Result("space", "avg_pool", "", c.dtype, str(c), status) for _, _, c in asked]


def test_all_problems_of_a_level_ask_all_that_is_possible() -> None:
    shares = coverage.shares(results("pass"), "quick", 0)
    assert {s.features for s in shares} == {n for s in ENTRIES["avg_pool"].spaces for n in s.tuples}
    assert all(0 < s.asked == s.possible <= s.total for s in shares)


def test_what_was_declined_or_skipped_does_not_count() -> None:
    for status in ("unsupported", "skipped", "n/a"):
        assert {s.asked for s in coverage.shares(results(status), "quick", 0)} == {0}


def test_one_problem_asks_one_combination_of_each_tuple_whatever_came_of_it() -> None:
    space = problems.chosen("avg_pool", "quick", 0)[0][0]
    for status in coverage.ASKED:
        shares = coverage.shares(results(status, 1), "quick", 0)
        assert {s.asked for s in shares if s.space == space} == {1}
        assert {s.asked for s in shares if s.space != space} <= {0}


def test_the_table_adds_up_pairs_and_triples() -> None:
    shares = [
        coverage.Share("conv", "s", ("a", "b"), 1, 3, 4),
        coverage.Share("conv", "s", ("a", "c"), 2, 2, 4),
        coverage.Share("conv", "s", ("a", "b", "c"), 0, 5, 8),
    ]
    assert coverage.summary(shares) == [
        ("conv", "s", "pairs", 3, 5, 8),
        ("conv", "s", "triples", 0, 5, 8),
    ]
    pairs = coverage.table(shares).splitlines()[1]
    assert pairs.split() == ["conv", "s", "pairs", "3", "8", "37.5%"]
    assert "a x b x c" in coverage.table(shares, every=True)
    assert coverage.table([]) == ""


@pytest.mark.parametrize("op", ENTRIES)
def test_the_table_knows_the_tuples_of_every_operation(op: str) -> None:
    tuples = [(space.name, names) for space in ENTRIES[op].spaces for names in space.tuples]
    shares = [coverage.Share(op, name, names, 1, 1, 2) for name, names in tuples]
    for every in (False, True):
        table = coverage.table(shares, every=every)
        assert bool(table) is bool(tuples)
        assert sum(int(line.split()[-2]) for line in table.splitlines()[1:]) == 2 * len(tuples)
