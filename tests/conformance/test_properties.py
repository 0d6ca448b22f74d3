"""Every law is a check, for the operations whose entry names it, and notices what breaks it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import properties
from convkit.conformance.checks import CHECKS
from convkit.conformance.entries import ENTRIES


def _laws() -> set[str]:
    tree = ast.parse(Path(properties.__file__).read_text())
    calls = [d for f in tree.body if isinstance(f, ast.FunctionDef) for d in f.decorator_list]
    return {ast.literal_eval(call.args[0]) for call in calls if isinstance(call, ast.Call)}


def test_laws_are_checks_and_entries_name_no_others() -> None:
    named = {law for entry in ENTRIES.values() for law in entry.laws}
    assert named == _laws()
    assert named <= CHECKS.keys()


class ForgetsTheLastGroup(Im2colNumpy):
    """Gives the last group of several the result of the first."""

    name = "forgets_the_last_group"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        out, saved = super().conv_forward(spec, x, w, b)
        if spec.groups > 1:
            each = spec.w_shape[0] // spec.groups
            out[:, -each:] = out[:, :each]
        return out, saved


class FavoursTheFirstRow(Im2colNumpy):
    """Adds the number of the row to every maximum."""

    name = "favours_the_first_row"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        rows = range(out.shape[2])
        out += [[row] * out.shape[3] for row in rows] if out.ndim == 4 else 0
        return out, saved


@pytest.mark.parametrize(
    ("wrong", "law", "op"),
    [
        (ForgetsTheLastGroup, "groups-are-blocks", "conv"),
        (FavoursTheFirstRow, "translation", "max_pool"),
    ],
)
def test_what_breaks_a_law_is_found(wrong: type, law: str, op: str) -> None:
    assert conformance.run(Im2colNumpy(), "quick", checks=[law], ops=[op]).ok
    report = conformance.run(wrong(), "quick", checks=[law], ops=[op])
    assert [r.check for r in report.failures] == [law] * len(report.failures)
    assert report.failures
