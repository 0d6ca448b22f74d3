"""Every fresh mutant is wrong on its witness, and right on an ordinary problem."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import numpy as np
import pytest

from conformance_mutants import SETS
from conformance_mutants.base import Full, FullThreaded
from conformance_mutants.fresh.counters import FusedIndex
from conformance_mutants.fresh.fused_path import Own
from conformance_mutants.fresh.parts import FlatIndex
from conformance_mutants.fresh.popular_fused import Pair, StemPair
from conformance_mutants.fresh.surroundings import put_back
from conformance_mutants.fresh.witness import ORDINARY, WITNESSES, correct, emptied, everything

FRESH = SETS["fresh"]
EACH = [
    pytest.param(name, marks=pytest.mark.slow if WITNESSES[name].slow else ()) for name in FRESH
]


@pytest.fixture(autouse=True)
def _surroundings():
    """A mutant that is run here leaves nothing for the next test."""
    with put_back() if sys.platform == "linux" else nullcontext():
        yield


def same(found, expected):
    """Whether two results, or lists of them, are the same numbers."""
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    return np.array_equal(found, expected, equal_nan=np.asarray(expected).dtype.kind == "f")


def test_every_mutant_has_a_witness():
    assert len(FRESH) >= 160
    assert FRESH.keys() == WITNESSES.keys()


@pytest.mark.parametrize("name", EACH)
def test_it_is_wrong_on_its_witness(name):
    mutant, witness = FRESH[name], WITNESSES[name]
    if mutant.kind == "environment" and sys.platform != "linux":
        pytest.skip("reads the surroundings as Linux shows them")
    assert witness.cost is None or 0 < witness.cost <= 200_000_000
    right = correct(mutant)()
    expected = witness.scene(right)
    assert same(witness.scene(correct(mutant)()), expected), "the witness itself is not repeatable"
    assert not same(witness.scene(mutant.make()), expected)


@pytest.mark.parametrize("name", EACH)
def test_it_is_right_on_an_ordinary_problem(name):
    mutant, witness = FRESH[name], WITNESSES[name]
    for specs in witness.tame or ORDINARY:
        assert same(everything(mutant.make(), *specs), everything(correct(mutant)(), *specs))


@pytest.mark.parametrize("name", [name for name, found in WITNESSES.items() if found.specs])
def test_it_has_no_second_bug_with_empty_batches(name):
    specs = [emptied(spec) for spec in WITNESSES[name].specs]
    mutant = FRESH[name]
    assert same(everything(mutant.make(), *specs), everything(correct(mutant)(), *specs))


@pytest.mark.parametrize("base", [FullThreaded, FlatIndex, FusedIndex, Own, Pair, StemPair])
def test_what_mutants_are_made_of_is_right_on_their_witnesses(base):
    """Where it is not, a mutant has a second bug."""
    kinds = (
        "popular_fused",
        "fused_path",
        "popular_pools",
        "pooling_special",
        "one_and_three_axes",
    )
    found = [WITNESSES[name].specs for name, mutant in FRESH.items() if mutant.kind in kinds]
    for specs in (*ORDINARY, *filter(None, found)):
        assert same(everything(base(), *specs), everything(Full(), *specs)), specs
