"""The layout of a plane: which cell is where, in which colour, with what words."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.conformance.planes import Plane
from convkit.report.heat_map import FAINT, FULL, HeatMap, heat_map


def drawn(got: np.ndarray, want: np.ndarray, index: tuple[int, ...]) -> HeatMap:
    return heat_map(Plane.around("out", index, got, want))


def test_every_cell_of_the_difference_says_what_is_wrong() -> None:
    want = np.zeros((2, 1, 2, 3))
    got = want.copy()
    got[1, 0, 0, 2], got[1, 0, 1, 0] = 4, -2
    picture = drawn(got, want, (1, 0, 0, 2))
    assert picture.where == "[1, 0, 0:2, 0:3]"
    assert picture.axes == "rows: axis 2, columns: axis 3, of shape (2, 1, 2, 3)"
    name, cells = picture.panels[2]
    assert name == "difference"
    assert [c.tone for c in cells] == ["", "", "plus", "minus", "", ""]
    assert [c.text for c in cells] == ["", "", "4", "−2", "", ""]
    assert [c.outline for c in cells] == ["", "", "first", "wrong", "", ""]
    assert [c.opacity for c in cells] == [0, 0, FULL, pytest.approx((FAINT + FULL) / 2), 0, 0]
    assert cells[2].title == "[1, 0, 0, 2] got 4.0, expected 0.0"
    assert [c.outline for c in picture.panels[1][1]] == [""] * 6
    assert [w.index for w in picture.wrong] == ["1, 0, 0, 2", "1, 0, 1, 0"]
    assert [w.difference for w in picture.wrong] == ["4", "-2"]


def test_indices_count_in_the_whole_result_and_labels_do_not_overlap() -> None:
    want = np.zeros((1, 1, 2000, 40_000), np.float32)
    got = want.copy()
    got[0, 0, 1500, 39_999] = 1
    picture = drawn(got, want, (0, 0, 1500, 39_999))
    assert picture.where == "[0, 0, 1495:1511, 39984:40000]"
    assert [index for _, index in picture.rows] == list(range(1495, 1511))
    places, indices = zip(*picture.columns, strict=True)
    assert indices == (39_984, 39_987, 39_990, 39_993, 39_996, 39_999)
    assert np.diff(places).min() > 5 * 7.5
    (first,) = (c for c in picture.panels[0][1] if c.outline == "first")
    assert (first.x, first.y) == (picture.left + 15 * picture.cell_width,
                                  picture.top + 5 * picture.cell_height)  # fmt: skip
    assert picture.columns[-1][0] + 5 * 7.5 / 2 <= picture.width <= 318  # a phone's card


def test_what_is_not_finite_is_told_in_words_and_scales_nothing() -> None:
    got = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    want = np.array([[1.0, 2.0, 3.0, np.nan]])
    picture = drawn(got, want, (0, 0))
    assert not picture.shortened
    assert [c.text for c in picture.panels[0][1]] == ["NaN", "∞", "−∞", "1"]
    assert [c.tone for c in picture.panels[2][1]] == ["odd"] * 4
    wide = drawn(np.full((1, 16), np.nan), np.full((1, 16), 1e6), (0, 0))
    assert wide.shortened
    assert {c.text for c in wide.panels[0][1]} == {"N"}
    assert {c.text for c in wide.panels[1][1]} == {""}
    few = drawn(np.array([[np.nan, 123_456.0]]), np.zeros((1, 2)), (0, 0))
    assert [c.text for c in few.panels[0][1]] == ["NaN", "+"]


@pytest.mark.parametrize(("difference", "text"), [(0.5, "0.5"), (1.2345e-30, "+")])
def test_numbers_are_in_the_cells_where_all_have_room(difference: float, text: str) -> None:
    want = np.zeros((1, 6))
    got = want.copy()
    got[0, 3] = difference
    assert drawn(got, want, (0, 3)).panels[2][1][3].text == text


def test_a_vector_has_no_rows() -> None:
    picture = drawn(np.ones(5), np.zeros(5), (0,))
    assert picture.rows == ()
    assert picture.where == "[0:5]"
    assert picture.axes == "columns: axis 0, of shape (5,)"
    assert [c.title.partition("]")[0] for c in picture.panels[0][1]] == [f"[{i}" for i in range(5)]


def test_what_the_bound_allows_is_no_difference() -> None:
    got, want = np.array([[1.25, 3.0]]), np.array([[1.0, 1.0]])
    picture = heat_map(Plane.around("out", (0, 1), got, want, 0.5))
    assert [(c.tone, c.outline) for c in picture.panels[2][1]] == [("", ""), ("plus", "first")]
