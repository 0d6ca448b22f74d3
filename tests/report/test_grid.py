"""Filters and images as arrays that can be shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convkit.errors import ShapeError
from convkit.report.grid import image_to_unit, tile, to_unit


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e300])
def test_a_constant_tile_is_grey_and_not_nan(value: float) -> None:
    assert np.array_equal(to_unit(np.full((3, 3), value)), np.full((3, 3), 0.5))


def test_the_smallest_becomes_0_and_the_largest_1() -> None:
    assert np.array_equal(to_unit([-2.0, 0.0, 2.0, 1.0]), [0.0, 0.5, 1.0, 0.75])


def test_non_finite_values_do_not_spoil_the_others() -> None:
    assert np.array_equal(to_unit([0.0, np.nan, np.inf, 4.0, -np.inf]), [0, 0.5, 1, 1, 0])
    assert np.array_equal(to_unit([np.nan, np.nan]), [0.5, 0.5])


@given(
    hnp.arrays(
        np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(allow_nan=True, width=64)
    )
)
def test_every_array_is_stretched_into_the_unit_interval(values: np.ndarray) -> None:
    shown = to_unit(values)
    assert shown.shape == values.shape
    assert ((shown >= 0) & (shown <= 1)).all()


@pytest.mark.parametrize(
    ("count", "channels", "rows", "columns"),
    [(1, 3, 1, 1), (16, 3, 4, 4), (10, 1, 3, 4), (4, 2, 4, 2), (3, 5, 3, 5), (2, 64, 2, 64)],
)
def test_any_number_of_channels_has_a_layout(
    count: int, channels: int, rows: int, columns: int
) -> None:
    filters = np.random.default_rng(0).standard_normal((count, channels, 3, 4))
    picture, shape = tile(filters)
    assert shape == (rows, columns)
    depth = (3,) if channels == 3 else ()
    assert picture.shape == (rows * 4 - 1, columns * 5 - 1, *depth)


def test_each_tile_holds_its_filter() -> None:
    filters = np.arange(2 * 3 * 2 * 2, dtype=float).reshape(2, 3, 2, 2)
    picture, _ = tile(filters)
    assert np.array_equal(picture[:, 3:], to_unit(filters[1]).transpose(1, 2, 0))
    assert np.isnan(picture[:, 2]).all()
    planes, _ = tile(filters[:, :2])
    assert np.array_equal(planes[3:, 3:], to_unit(filters[1, 1]))


def test_a_constant_filter_leaves_no_nan_in_its_tile() -> None:
    picture, _ = tile(np.zeros((1, 3, 5, 5), dtype=np.float32))
    assert np.array_equal(picture, np.full((5, 5, 3), 0.5))


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3, 3), (2, 0, 3, 3)])
def test_what_is_no_filter_bank_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as caught:
        tile(np.zeros(shape))
    assert str(caught.value) == (
        f"filters.shape (={shape}) must have four axes (F, C, KH, KW), none empty"
    )


def test_images_become_pictures() -> None:
    rng = np.random.default_rng(0)
    assert image_to_unit(rng.random((3, 4, 5))).shape == (4, 5, 3)
    assert image_to_unit(rng.random((1, 4, 5))).shape == (4, 5)
    assert image_to_unit(rng.random((7, 4, 5))).shape == (4, 5)
