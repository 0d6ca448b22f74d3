"""Dictionaries and keywords: one problem however it is said, and an error that names the key."""

from __future__ import annotations

import numpy as np
import pytest

import convkit

X = np.arange(2.0 * 3 * 7 * 6).reshape(2, 3, 7, 6)
W = np.ones((4, 3, 3, 2))


@pytest.mark.parametrize(
    ("param", "keywords"),
    [
        ({"stride": 2, "pad": 1}, {}),
        ({"stride": 2}, {"pad": 1}),
        ({"stride": 2, "pad": 1}, {"stride": (2, 2)}),
        ({"stride": [2, 2], "pad": ((1, 1), (1, 1))}, {}),
        ({"stride": np.int64(2), "pad": np.array([1, 1])}, {"dilation": 1, "groups": 1}),
        (None, {"stride": 2, "pad": 1}),
    ],
)
def test_a_convolution_said_in_different_ways(param, keywords):
    expected = convkit.conv(X, W, stride=2, pad=1, backend="naive")
    out, _ = convkit.conv_forward(X, W, None, param, backend="naive", **keywords)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(convkit.conv(X, W, None, param, **keywords), expected)


@pytest.mark.parametrize(
    "param",
    [
        {"pool_height": 3, "pool_width": 2, "stride": 2},
        {"kernel": (3, 2), "stride": (2, 2)},
        {"pool_height": 3, "pool_width": 2, "kernel": [3, 2], "stride": 2, "pad": None},
    ],
)
def test_a_pooling_said_in_different_ways(param):
    for kind in ("max", "avg"):
        call = getattr(convkit, f"{kind}_pool")
        np.testing.assert_array_equal(call(X, param), call(X, kernel=(3, 2), stride=2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convkit.conv(X, W, None, {"strid": 1}), "unknown key 'strid'.*'stride'"),
        (lambda: convkit.conv(X, W, None, {"stride": 1}, stride=2), "stride .* disagree"),
        (lambda: convkit.conv(X, W, None, 3), "must be a dictionary"),
        (lambda: convkit.conv(X, W, stride=1.5), "stride"),
        (lambda: convkit.conv(X, W, groups=True), "groups"),
        (lambda: convkit.conv(X, W, pad="sam"), "pad"),
        (lambda: convkit.max_pool(X), "kernel is needed"),
        (lambda: convkit.max_pool(X, {"pool_height": 2}), "pool_width"),
        (lambda: convkit.max_pool(X, {"pool_height": 2, "pool_width": 2}, kernel=3), "disagree"),
        (lambda: convkit.max_pool(X, kernel=2, ceil_mode=1), "ceil_mode"),
        (lambda: convkit.avg_pool(X, kernel=2, count_include_pad="no"), "count_include_pad"),
        (lambda: convkit.conv(X, W, backend=3), "backend"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(call, message):
    with pytest.raises(convkit.ParameterError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
