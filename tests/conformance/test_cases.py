"""A case on one line: it reads back, and what is no case is refused."""

from __future__ import annotations

import pytest

from convkit import conformance
from convkit.conformance import cases, problems
from convkit.conformance.entries import ENTRIES
from convkit.errors import ParameterError


@pytest.mark.long
@pytest.mark.parametrize("op", ENTRIES)
@pytest.mark.parametrize("level", ["quick", pytest.param("default", marks=pytest.mark.slow)])
def test_every_case_reads_back_from_its_text(op: str, level: str) -> None:
    for check in conformance.CHECKS.values():
        if op in check.operations:
            for case in check.make(op, level, 3):
                if case.geometry:
                    assert cases.parse(str(case)) == case


def test_the_case_of_a_failure_reads_back() -> None:
    found = problems.chosen("conv", "quick", 0)[0][2]
    assert cases.parse(str(found)) == found


def test_the_work_is_the_multiply_adds_of_a_forward_pass() -> None:
    assert cases.case("conv", "x", x=(1, 1, 2, 2), w=(1, 1, 1, 1)).work == 4
    assert cases.case("conv", "x", x=(2, 3, 4, 5), w=(7, 3, 3, 2)).work == 2 * 7 * 2 * 4 * 3 * 6
    assert cases.case("max_pool", "x", x=(1, 2, 4, 4), kernel=2).work == 2 * 4 * 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("conf x=1,1,2,2", "must begin with one of conv, max_pool"),
        ("conv x=1,1,2,2", "must give x= and w="),
        ("conv x", "'x' must be key=value"),
    ],
)
def test_what_is_no_case_is_refused(text: str, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        cases.parse(text)
