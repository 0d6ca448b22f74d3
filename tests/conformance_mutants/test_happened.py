"""Bugs that happened: every mutant shows its bug where its report says, and not elsewhere.

The conformance suite has no part in this: whether it finds these is another question.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance_mutants import SETS
from conformance_mutants.happened import reports
from conformance_mutants.happened.harness import differing, in_child, in_thread
from conformance_mutants.happened.witnesses import WITNESSES
from conformance_mutants.registry import Mutant
from convkit.registry import load

MUTANTS = SETS["happened"]
PAGE = Path(__file__).parents[2] / "docs" / "bugs-that-happened.md"


def found(name, problems, seconds=10):
    """The passes in which a mutant differs from the correct backend."""
    witness, mutant = WITNESSES[name], MUTANTS[name]
    backend = mutant.make()
    if witness.threads > 1:
        backend.set_num_threads(witness.threads)

    def call():
        return differing(backend, problems)

    if mutant.child:
        return in_child(call, seconds)
    return in_thread(call) if witness.in_thread else call()


def test_every_mutant_has_a_witness():
    assert set(WITNESSES) == set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_it_differs_where_the_report_says(name):
    waits = 1 if name == "OnednnBackwardInWorker" else 10
    assert found(name, WITNESSES[name].problems, waits)


@pytest.mark.parametrize("name", MUTANTS)
def test_it_agrees_on_an_ordinary_problem(name):
    assert found(name, [WITNESSES[name].ordinary]) == []


@pytest.mark.parametrize("name", WITNESSES)
def test_another_backend_agrees_with_the_base(name):
    """So that what differs from the base is wrong; exact on integers of few bits."""
    witness = WITNESSES[name]
    other = load("im2col_numpy").backend
    exact = [p for p in (*witness.problems, witness.ordinary) if p.data not in ("wide", "reals")]
    assert differing(other, exact) == []


def test_the_page_is_what_the_docstrings_say():
    assert PAGE.read_text(encoding="utf-8") == reports.markdown()


def test_no_two_mutants_are_of_one_report():
    sources = [r.source for r in reports.reports()]
    assert len(set(sources)) == len(sources) >= 60


@pytest.mark.parametrize(
    ("bug", "source"),
    [
        ("No effect is told. torch, a/b#1.", "https://github.com/a/b/issues/1"),
        ("Odd: wrong. torch, a/b#1.", "https://github.com/a/b/issues/2"),
        ("Odd: wrong. torch, a/b#1.", "https://example.org/a/b/issues/1"),
    ],
)
def test_a_report_without_its_parts_is_refused(bug, source):
    with pytest.raises(ValueError, match="mine"):
        reports.report(Mutant("mine", "kind", bug, object, options={"source": source}))
