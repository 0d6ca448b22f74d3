"""The sizes of unfolded images."""

from __future__ import annotations

import pytest

from convkit.errors import DtypeError
from convkit.spec import ConvSpec, UnfoldSpec


@pytest.mark.parametrize(
    ("x", "keywords", "columns"),
    [
        ((2, 3, 6, 7), {"kernel": 2}, (2, 12, 30)),
        ((2, 3, 6, 7), {"kernel": (3, 2), "stride": (2, 3), "pad": ((1, 0), (0, 2))}, (2, 18, 9)),
        ((2, 3, 6, 7), {"kernel": 2, "dilation": (5, 3)}, (2, 12, 4)),
        ((0, 3, 6, 7), {"kernel": 3, "pad": "same", "stride": 2}, (0, 27, 12)),
        ((1, 2, 9), {"kernel": 4, "stride": 2}, (1, 8, 3)),
        ((1, 2, 3, 4, 5), {"kernel": (2, 1, 3)}, (1, 12, 24)),
    ],
)
def test_columns_have_a_row_for_each_tap_and_a_column_for_each_window(x, keywords, columns):
    spec = UnfoldSpec.of(x, **keywords, dtype="float32")
    assert spec.columns_shape == columns
    geometry = {key: value for key, value in keywords.items() if key != "kernel"}
    conv = ConvSpec.of(x, (1, x[1], *spec.kernel), **geometry, dtype="float32")
    assert spec.out_shape[2:] == conv.out_shape[2:]
    assert spec.pad == conv.pad


def test_it_says_what_it_is():
    spec = UnfoldSpec.of((1, 2, 5, 6), kernel=(2, 3), pad=1, dtype="float64")
    assert str(spec) == (
        "unfold(x (1, 2, 5, 6), kernel=(2, 3), stride=(1, 1), pad=((1, 1), (1, 1)), float64)"
    )


def test_a_shape_needs_a_dtype():
    with pytest.raises(DtypeError, match="dtype is needed where x is given as a shape"):
        UnfoldSpec.of((1, 2, 5, 6), kernel=2)
