"""The conformance suite is itself under test: it must find every planted bug.

Each mutant is a correct backend with one bug. docs/conformance-mutants.md, which ``make mutants``
writes, says which check finds each; here every mutant is put to the first of those alone, which
takes seconds where all checks take an hour. Behind the marker ``mutants``: the mutants that hang,
and whole runs of the correct backends.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance_mutants import CORRECT, MUTANTS, geometry, score, table
from conformance_mutants.judge import ALIVE, LOADING, judge
from convkit.conformance import CHECKS, large
from convkit.conformance.entries import ENTRIES
from convkit.conformance.runner import Request

DOCS = Path(__file__).parents[2] / "docs"
ROWS = table.read(DOCS / "conformance-mutants.md")
HANG = ("Hangs", "HangsAfterFork")
"""They are found by waiting, a minute each."""


OF_ONE_OPERATION = ("norm", "transposed", "conv_relu", "conv_bn")
"""Kinds of bugs that are asked of their own operation alone."""


EACH = [pytest.param(n, marks=pytest.mark.mutants if n in HANG else ()) for n in MUTANTS]


@pytest.mark.sampled(fast=20, usual=6)
@pytest.mark.parametrize("name", EACH)
def test_the_check_that_the_table_names_finds(name):
    assert name in ROWS, f"{name} is not in the table; run make mutants"
    row = ROWS[name]
    if row.level == "full":
        pytest.skip("found by --full alone, which needs 11 GB of memory; see the index width below")
    check = row.found_by[0]
    narrowed = {"checks": [check]} if check in CHECKS else {}
    if MUTANTS[name].kind.startswith(OF_ONE_OPERATION):
        narrowed["ops"] = score.likely(name)[:1]
    verdict = judge(name, row.level, maxfail=1, **narrowed)
    assert check in verdict.found_by, f"{name} lives: {MUTANTS[name].bug} ({verdict})"


def test_index_width_is_found_at_the_size_that_fits(monkeypatch):
    """As --full finds it beyond 2**31, with both the mutant's limit and the image made smaller."""
    mutant = geometry.FlatIndexInThirtyTwoBits
    assert mutant.limit == 1 << 31 < large.SIDES["full"] ** 2
    narrowed = {"checks": ["index-width"], "ops": ["conv"]}
    assert not judge(mutant.__name__, "default", **narrowed).killed
    monkeypatch.setattr(mutant, "limit", 1 << 24)
    assert judge(mutant.__name__, "default", **narrowed).killed


def test_the_table_is_of_these_mutants_and_these_checks():
    assert list(ROWS) == list(MUTANTS), "run make mutants"
    assert {c for r in ROWS.values() for c in r.found_by} <= {*CHECKS, LOADING, "(verdict)"}
    assert (DOCS / "conformance-mutants.md").read_text(encoding="utf-8") == table.markdown(ROWS)
    guide = (DOCS / "conformance.md").read_text(encoding="utf-8")
    assert guide == table.put_between(guide, table.guide_part(ROWS))


def test_the_default_run_finds_all_and_the_quick_run_nine_in_ten():
    assert len(MUTANTS) >= 80
    levels = [r.level for r in ROWS.values()]
    assert ALIVE not in levels
    assert {n for n, r in ROWS.items() if r.level == "full"} == {
        n for n, m in MUTANTS.items() if m.needs_full
    }
    assert levels.count("quick") >= 0.9 * len(MUTANTS)


def test_every_check_finds_a_mutant():
    assert CHECKS.keys() <= {c for r in ROWS.values() for c in r.found_by}


@pytest.mark.long
@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize("op", ENTRIES)
@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("quick", "default"), pytest.param("default", "full", marks=pytest.mark.slow)],
)
def test_a_wider_level_has_every_case_of_a_narrower_one(narrow, wide, op):
    """So what the quick run finds, the default run finds.

    Searches differ in their length alone, and very many calls in the time that they have.
    """

    def cases(level):
        jobs = [j for j in Request(level, ops=(op,)).jobs() if j.check != "index-width"]
        searches = {(j.check, j.case.op, j.case.dtype) for j in jobs if not j.case.geometry}
        found = [(j.check, str(j.case)) for j in jobs if j.case.geometry]
        return {(check, re.sub(r" seconds=\d+", "", text)) for check, text in found}, searches

    (few, few_searches), (many, many_searches) = cases(narrow), cases(wide)
    assert few <= many
    assert few_searches <= many_searches


QUICK_PARTS = ["forward-exact", "backward-exact", "declarations", "nonfinite"]


@pytest.mark.long
@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize("name", CORRECT)
def test_the_backends_that_mutants_are_made_of_are_correct(name):
    verdict = judge(name, "quick", checks=QUICK_PARTS)
    assert not verdict.killed, verdict
    assert verdict.ran > 1000


@pytest.mark.mutants
@pytest.mark.parametrize("level", ["quick", "default"])
@pytest.mark.parametrize("name", CORRECT)
def test_the_backends_that_mutants_are_made_of_are_correct_throughout(name, level):
    verdict = judge(name, level)
    assert not verdict.killed, verdict
