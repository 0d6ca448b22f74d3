"""The checks of operations that take statistics of their input: moving them, and constants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from convkit.conformance import catalogue
from convkit.conformance.cases import Case, case
from convkit.conformance.checks import bits, check, run_both, same, with_data
from convkit.conformance.data import inputs
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.subject import Failed, Subject


def _moving(op: str, level: str, seed: int) -> Iterator[Case]:
    found = (c for c in catalogue.structured(op, level) if c.moves)
    yield from with_data(found, "real", "statistics")


@check("statistics", _moving, names(lambda entry: entry.momenta))
def statistics(subject: Subject, case: Case) -> None:
    """Running statistics move once, in training alone, into new arrays; nothing else does."""
    entry, given = ENTRIES[case.op], inputs(case)
    for seed, options in enumerate(entry.momenta):
        table, wanted, at_rest = entry.moved(case, given, options, seed)
        before = {key: table[key].copy() for key in wanted}
        old = {key: table[key] for key in wanted}
        _, cache = subject.forward(case, given.copies(), table)
        for key, want in wanted.items():
            same(subject, f"with {options}: {key}", table[key], want, case)
            bits(f"the array given as {key}", old[key], before[key], "after training")
        _unchanged(table, lambda c=cache: subject.backward(case, given.dout.copy(), c))
        resting = inputs(at_rest).copies()
        rest = {**at_rest.params[at_rest.moving], **{key: table[key] for key in wanted}}
        for _ in range(2):
            _unchanged(rest, lambda c=at_rest, g=resting, r=rest: _at_rest(subject, c, g, r))


def _at_rest(subject: Subject, case: Case, given: Any, table: dict[str, Any]) -> None:
    out, cache = subject.forward(case, given, table)
    subject.backward(case, given.dout, cache)
    mine = {key: value for key, value in table.items() if key != "training"}
    bits("inference's out", subject.infer(case, given, mine), out, "with running statistics")


def _unchanged(table: dict[str, Any], call: Any) -> None:
    """Raise Failed where a call puts something into a dictionary, or changes an array in it."""
    held = dict(table)
    values = {k: v.copy() for k, v in table.items() if isinstance(v, np.ndarray)}
    call()
    if table.keys() != held.keys() or any(table[k] is not v for k, v in held.items()):
        raise Failed("the parameter dictionary was written to outside of training")
    for key, value in values.items():
        bits(key, table[key], value, "outside of training")


def _constants(op: str, level: str, seed: int) -> Iterator[Case]:
    found = (case(op, "constants", **geometry) for geometry in ENTRIES[op].constants)
    yield from with_data(found, "constant")


@check("constants", _constants, names(lambda entry: entry.constants))
def constants(subject: Subject, case: Case) -> None:
    """Of a constant nothing is left, however large: 5.1 everywhere normalises to 0."""
    run_both(subject, case)
