"""The plane around the first wrong element: what it holds, and that it survives JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from convkit.conformance.execute import Outcome
from convkit.conformance.planes import BEFORE, SIDE, Plane
from convkit.conformance.subject import Failed, agree


def plane_of(shape: tuple[int, ...], *wrong: tuple[int, ...], dtype: str = "float32") -> Plane:
    """The plane of a failure whose wrong elements are known; the values are their own positions."""
    want = np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)
    got = want.astype(dtype)
    for index in wrong:
        got[index] += 0.5
    with pytest.raises(Failed) as caught:
        agree("out", got, want)
    assert caught.value.plane is not None
    return caught.value.plane


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 3, 4, 5), (2, 3)),
        ((2, 3, 4, 5, 6), (3, 4)),
        ((2, 3, 7), (1, 2)),
        ((8, 4, 1, 1), (0, 1)),
        ((2, 3, 1, 9), (1, 3)),
        ((1, 1, 1, 6), (2, 3)),
        ((1, 1, 1, 1), (2, 3)),
        ((6,), (0,)),
    ],
)
def test_it_lies_in_the_last_axes_that_are_longer_than_one(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    last = tuple(n - 1 for n in shape)
    plane = plane_of(shape, last)
    assert (plane.axes, plane.shape, plane.index) == (axes, shape, last)
    rows = shape[axes[0]] if len(axes) > 1 else 1
    assert (len(plane.got), len(plane.got[0])) == (rows, shape[axes[-1]])
    assert [(i, j) for i, row in enumerate(plane.wrong) for j, bad in enumerate(row) if bad] == [
        (rows - 1, shape[axes[-1]] - 1)
    ]
    want = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    cut = want[tuple(slice(None) if a in axes else i for a, i in enumerate(last))]
    expected = [[float(text) for text in row] for row in plane.expected]
    assert expected == np.atleast_2d(cut).astype(float).tolist()


def test_a_large_one_is_cut_around_the_first_wrong_element() -> None:
    plane = plane_of((2, 100, 300), (1, 50, 200), (1, 50, 203), (1, 61, 195), (1, 80, 0))
    assert plane.start == (50 - BEFORE, 200 - BEFORE)
    assert (len(plane.got), len(plane.got[0])) == (SIDE, SIDE)
    found = {(i, j) for i, row in enumerate(plane.wrong) for j, bad in enumerate(row) if bad}
    assert found == {(5, 5), (5, 8)}
    assert plane.got[5][5] == str(np.float32(1 * 30_000 + 50 * 300 + 200 + 0.5))
    assert plane_of((2, 100, 300), (0, 99, 299)).start == (100 - SIDE, 300 - SIDE)
    assert plane_of((2, 100, 300), (0, 0, 1)).start == (0, 0)


def test_the_bound_of_each_element_decides() -> None:
    want = np.zeros((1, 1, 2, 3))
    got = np.full((1, 1, 2, 3), 0.25)
    bound = np.array([[0.1, 0.3, 0.3], [0.3, 0.1, 0.3]]).reshape(want.shape)
    with pytest.raises(Failed) as caught:
        agree("out", got, want, bound)
    assert caught.value.plane is not None
    assert caught.value.plane.wrong == ((True, False, False), (False, True, False))
    agree("out", got, want, 0.25)


def test_it_and_its_outcome_survive_strict_json() -> None:
    got = np.array([[np.nan, np.inf, -np.inf, 0.1]], np.float32)
    want = np.array([[1, 2, 3, np.nan]], np.longdouble)
    with pytest.raises(Failed) as caught:
        agree("dx", got, want)
    plane = caught.value.plane
    assert plane is not None
    assert plane.got == (("nan", "inf", "-inf", "0.1"),)
    assert plane.expected == (("1.0", "2.0", "3.0", "nan"),)
    outcome = Outcome("fail", "words", 0.5, "conv", plane)
    assert Outcome.of(json.loads(json.dumps(asdict(outcome), allow_nan=False))) == outcome
    bare = Outcome("pass")
    assert Outcome.of(json.loads(json.dumps(asdict(bare)))) == bare
