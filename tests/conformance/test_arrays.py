"""The arrays of a case, and the bound that an expected result gives."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import bounds
from convkit.conformance.arrays import Expected, Inputs, integers, magnitudes


def test_inputs_are_read_by_name_and_changed_without_touching_the_original() -> None:
    given = Inputs.of({"x": np.ones(2), "b": None, "dout": np.full(3, 2.0)})
    assert given.names == ("x", "b", "dout")
    assert [name for name, _ in given.given()] == ["x"]
    doubled = given.map(lambda a: 2 * a)
    assert doubled.x.tolist() == [2, 2]
    assert doubled.b is None
    assert doubled.dout.tolist() == [4, 4, 4]
    given.copies().x[0] = 9
    assert given.x.tolist() == [1, 1]
    assert given.replaced(b=np.zeros(1)).b.tolist() == [0]
    with pytest.raises(AttributeError, match="w"):
        _ = given.w


def test_the_bound_is_zero_where_the_result_is_exact_and_the_backend_too() -> None:
    sizes = np.array([1.0, 8.0])
    exact = Expected.of(np.zeros(2), sizes, 4)
    partly = Expected.of(np.zeros(2), sizes, 4, exact=np.array([True, False]))
    how = {"exact_backend": True, "factor": 1.0, "random": False}
    assert exact.bound("float32", **how) == 0.0
    bound = partly.bound("float32", **how)
    assert bound[0] == 0.0
    assert bound[1] == bounds.elementwise(sizes, 4, "float32", random=False)[1] > 0
    rounding = exact.bound("float32", exact_backend=False, factor=2.0, random=False)
    once = bounds.normwise(sizes, 4, "float32", factor=1.0, random=False)
    assert np.array_equal(rounding, 2 * once)


def test_integers_are_never_zero_and_reach_both_ends() -> None:
    drawn = integers(np.random.default_rng(0), (1000,), 3)
    assert set(drawn) == {-3.0, -2.0, -1.0, 1.0, 2.0, 3.0}
    assert integers(np.random.default_rng(0), None, 3) is None


def test_magnitudes_are_wide() -> None:
    found, missing = magnitudes(np.array([-1.5], np.float32), None)
    assert found.dtype == np.float64
    assert found.tolist() == [1.5]
    assert missing is None
