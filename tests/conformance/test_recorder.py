"""What convkit calls of a backend is noted, and a result's arrays are found by their names."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import registry
from convkit.conformance.data import inputs
from convkit.conformance.endurance import _tiny
from convkit.conformance.entries import ENTRIES
from convkit.conformance.subject import Subject


@pytest.mark.parametrize("op", [op for op in ENTRIES if not ENTRIES[op].composed_alone])
def test_the_calls_of_a_problem_are_noted_with_what_they_returned(op: str) -> None:
    subject = Subject(registry.load("naive").backend)
    (found,) = _tiny(op, "quick", 0)
    results, calls = subject.recorded(found, inputs(found).copies())
    names = [one.name for one in calls]
    assert len(names) >= 2
    assert not {"supports", "set_num_threads"} & {*names}
    for i, one in enumerate(calls):
        if one.saved is not None:  # it is what a forward returned before
            assert any(
                one.args[one.saved] is each.result[1]
                for each in calls[:i]
                if each.name.endswith("_forward")
            )
    if found.operation.composed_of is None:
        arrays = {n: a for one in calls for n, a in one.arrays(one.result).items()}
        assert {n for n in results if n != "inferred"} <= {*arrays}
        for name in found.operation.gradients:
            np.testing.assert_array_equal(arrays[name], results[name])


def test_nothing_is_noted_outside_of_a_recording() -> None:
    subject = Subject(registry.load("naive").backend)
    (found,) = _tiny("conv", "quick", 0)
    _, calls = subject.recorded(found, inputs(found).copies())
    before = len(calls)
    subject.everything(found, inputs(found).copies())
    assert len(calls) == before
