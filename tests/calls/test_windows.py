"""What windows hold, on examples small enough to be read."""

from __future__ import annotations

import numpy as np

from convkit.calls import windows
from convkit.spec import PoolSpec, UnfoldSpec


def test_columns_by_hand():
    x = np.arange(1.0, 7.0).reshape(1, 1, 2, 3)  # 1 2 3 over 4 5 6
    spec = UnfoldSpec.of(x, kernel=(2, 2), pad=((0, 0), (1, 0)))
    columns = [[[0, 1, 2], [1, 2, 3], [0, 4, 5], [4, 5, 6]]]
    np.testing.assert_array_equal(windows.to_columns(spec, x), columns)
    # 3 and 6 are in one window, all others in two.
    folded = windows.from_columns(spec, np.array(columns, float))
    np.testing.assert_array_equal(folded, [[[[2, 4, 3], [8, 10, 6]]]])


def test_the_first_of_equal_maxima_by_hand():
    x = np.array([[[[1.0, 2, 2], [2, 2, 0]]]])
    spec = PoolSpec.of(x, kind="max", kernel=2, stride=1)
    found = windows.first_maxima(spec, x, np.array([[[[2.0, 2]]]]))
    assert found.tolist() == [[[[1, 1]]]]
    assert found.dtype == np.int64


def test_a_maximum_that_is_nowhere_has_no_index():
    x = np.zeros((1, 1, 2, 2))
    spec = PoolSpec.of(x, kind="max", kernel=2)
    assert windows.first_maxima(spec, x, np.ones((1, 1, 1, 1))).tolist() == [[[[-1]]]]


def test_nan_is_the_maximum_and_the_first_one_counts():
    x = np.array([[[[3.0, np.nan], [np.nan, 4]]]])
    spec = PoolSpec.of(x, kind="max", kernel=2)
    assert windows.first_maxima(spec, x, np.full((1, 1, 1, 1), np.nan)).tolist() == [[[[1]]]]
