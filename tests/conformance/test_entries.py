"""An operation of the table is one that the suite asks about, and no check names one."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from convkit import conformance, registry
from convkit.conformance import CHECKS, cases, catalogue, data
from convkit.conformance.checks import with_data
from convkit.conformance.entries import ENTRIES
from convkit.operations import OPERATIONS

FOLDER = Path(conformance.__file__).parent
PROBLEMS = ("structured", "larger", "parallel", "several_paths")
LAWS = {name for entry in ENTRIES.values() for name in entry.laws}


def test_every_operation_has_an_entry_in_the_order_of_the_table() -> None:
    assert list(ENTRIES) == list(OPERATIONS), "add it to convkit/conformance/entries.py"


COMPOSED_ALONE = [op for op in ENTRIES if ENTRIES[op].composed_alone]


def test_what_convkit_composes_alone_is_not_asked_of_a_backend_without_its_methods() -> None:
    """It would test convkit, and report that the backend passed."""
    assert COMPOSED_ALONE
    for op, entry in ENTRIES.items():
        operation = OPERATIONS[op]
        parts = operation.required or operation.composed_of(cases.case(op, "", **_first(op)).specs)
        assert entry.composed_alone == (not parts), op
    for origin in (registry.load("im2col_numpy").backend, "im2col_numpy"):
        report = conformance.run(origin, "quick", ops=COMPOSED_ALONE, checks=["forward-exact"])
        assert [(r.op, r.status) for r in report.results] == [(op, "n/a") for op in COMPOSED_ALONE]
        assert not report.ok
        assert "not clean" in report.verdict()


def _first(op: str) -> dict[str, object]:
    return ENTRIES[op].structured[0][1]


@pytest.mark.parametrize("op", ENTRIES)
def test_an_entry_brings_problems_data_and_a_reference(op: str) -> None:
    missing = [name for name in PROBLEMS if not getattr(ENTRIES[op], name)]
    assert not missing, f"{type(ENTRIES[op]).__name__} lacks {missing}"
    assert list(catalogue.blocks(op, "quick"))
    assert list(catalogue.extremes(op, "quick"))
    assert len(list(catalogue.random_cases(op, 5, 0))) == 5
    assert catalogue.empty_batches(op)
    case = next(with_data(catalogue.structured(op, "quick"), "exact"))
    given = data.inputs(case)
    assert list(given.named) == list(OPERATIONS[op].inputs)
    assert given.dout.shape == case.out_shape
    found = data.expected(case)
    gradients = OPERATIONS[op].gradient_shapes(case.specs)
    moved = dict.fromkeys(OPERATIONS[op].statistics, case.out_shape[1:2])
    wanted = {"out": case.out_shape, **gradients, **moved}
    assert {n: e.ref.shape for n, e in found.items()} == wanted
    assert all(np.isfinite(e.ref).all() for e in found.values())


@pytest.mark.parametrize("op", ENTRIES)
def test_an_operation_is_asked_by_checks_of_values_gradients_state_and_memory(op: str) -> None:
    asked = {name for name, check in CHECKS.items() if op in check.operations}
    wanted = {"forward-exact", "backward-exact", "repeat", "guard-pages", "threads", "empty-batch"}
    assert wanted <= asked
    if OPERATIONS[op].infer:
        assert "infer" in asked
    if len(OPERATIONS[op].gradients) > 1:
        assert "needs" in asked


def test_every_law_that_an_entry_names_is_a_check() -> None:
    assert CHECKS.keys() >= LAWS


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_no_check_names_an_operation_a_gradient_or_a_parameter(path: Path) -> None:
    """Those are read from the table; the folder ``operations`` is where their own facts are."""
    if path.name in ("entries.py",):
        return
    tables = [t for op in OPERATIONS.values() for t in op.parameters]
    words = {*OPERATIONS, *(g for op in OPERATIONS.values() for g in op.gradients)}
    words |= {op.method(step) for op in OPERATIONS.values() for step in op.steps}
    words |= {key for t in tables for key in t.defaults} - ALLOWED
    named = [
        f"{path.name}:{node.lineno}: {node.value!r}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in words
    ]
    assert not named, named


#: Parameters that a check of parameters, or a law, is about; the last says which inputs there are.
ALLOWED = {"pad", "pad_mode", "dilation", "stride", "kernel", "ceil_mode", "groups", "training"}


def test_a_case_with_a_key_that_its_operation_does_not_take_is_no_geometry() -> None:
    assert "ceil_mode" in cases.geometry_keys("max_pool")
    assert "ceil_mode" not in cases.geometry_keys("conv")
    assert "pool_ceil_mode" in cases.geometry_keys("conv_relu_pool")
