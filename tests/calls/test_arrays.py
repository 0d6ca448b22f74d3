"""Arrays as backends get them: what is converted, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import convkit

X = np.arange(2.0 * 3 * 7 * 6).reshape(2, 3, 7, 6)
W = np.ones((4, 3, 3, 2))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (X.astype(int), r"x\.dtype \(=int64\) must be float32 or float64"),
        (X.astype(np.float16), r"x\.dtype \(=float16\)"),
        (np.ma.masked_array(X), "x must not be a masked array"),
        ("text", r"x\.dtype"),
        (None, r"x\.dtype \(=object\)"),
    ],
)
def test_an_array_of_another_kind_is_named(array, message):
    with pytest.raises(convkit.DtypeError, match=message):
        convkit.conv(array, W)


def test_ragged_and_scalar_input_is_a_shape_error():
    for wrong in ([[1.0], [1.0, 2.0]], 3.0, np.float64(3)):
        with pytest.raises(convkit.ShapeError):
            convkit.conv(wrong, W)


def test_lists_and_subclasses_are_accepted():
    class Mine(np.ndarray):
        pass

    expected = convkit.max_pool(X, kernel=2)
    for x in (X.tolist(), X.view(Mine)):
        out = convkit.max_pool(x, kernel=2)
        assert type(out) is np.ndarray
        np.testing.assert_array_equal(out, expected)


def test_dout_must_fit():
    out, cache = convkit.conv_forward(X, W)
    with pytest.raises(convkit.ShapeError, match=r"dout\.shape"):
        convkit.conv_backward(out[:1], cache)
    with pytest.raises(convkit.DtypeError, match=r"dout\.dtype"):
        convkit.conv_backward(out.astype("f4"), cache)


def test_arrays_that_were_pickled_or_of_another_byte_order_are_welcome():
    import pickle

    expected = convkit.conv(X, W)
    other = X.astype(X.dtype.newbyteorder(">" if X.dtype.byteorder in "=<" else "<"))
    for x in (pickle.loads(pickle.dumps(X)), other, X[::-1][::-1]):
        for _ in range(2):
            np.testing.assert_array_equal(convkit.conv(x, W), expected)
