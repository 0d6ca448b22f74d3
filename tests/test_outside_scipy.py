"""SciPy as an independent reference: correlation for convolutions, moving maxima and means."""

from __future__ import annotations

import numpy as np
import pytest

import convkit

signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")

SHAPES = [((9,), (4,)), ((8, 11), (3, 2)), ((7, 6), (1, 5)), ((5, 6, 7), (2, 3, 1))]


@pytest.mark.parametrize(("size", "kernel"), SHAPES, ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolution_is_correlation(backend, rng, size, kernel, stride):
    x, w = rng.standard_normal((2, 3, *size)), rng.standard_normal((4, 3, *kernel))
    out = convkit.conv(x, w, stride=stride, pad=1, backend=backend)
    wide = np.pad(x, ((0, 0), (0, 0), *((1, 1),) * len(size)))
    every = (slice(None, None, stride),) * len(size)
    for n in range(2):
        for f in range(4):
            want = signal.correlate(wide[n], w[f], mode="valid", method="direct")[0][every]
            np.testing.assert_allclose(out[n, f], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "kernel"), SHAPES, ids=str)
def test_gradient_for_the_input_is_a_full_convolution(backend, rng, size, kernel):
    x, w = rng.standard_normal((1, 1, *size)), rng.standard_normal((1, 1, *kernel))
    out, cache = convkit.conv_forward(x, w, backend=backend)
    dout = rng.standard_normal(out.shape)
    dx, dw, _ = convkit.conv_backward(dout, cache)
    want = signal.convolve(dout[0, 0], w[0, 0], mode="full", method="direct")
    np.testing.assert_allclose(dx[0, 0], want, rtol=1e-12, atol=1e-12)
    want = signal.correlate(x[0, 0], dout[0, 0], mode="valid", method="direct")
    np.testing.assert_allclose(dw[0, 0], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "kernel"), SHAPES, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_pools_are_moving_maxima_and_means(backend, rng, size, kernel, stride):
    x = rng.standard_normal((1, 1, *size))
    inside = tuple(
        slice(k // 2, n - k + k // 2 + 1, stride) for n, k in zip(size, kernel, strict=True)
    )
    moving = ndimage.maximum_filter(x[0, 0], size=kernel)[inside]
    out = convkit.max_pool(x, kernel=kernel, stride=stride, backend=backend)
    np.testing.assert_array_equal(out[0, 0], moving)
    moving = ndimage.correlate(x[0, 0], np.full(kernel, 1 / np.prod(kernel)))[inside]
    out = convkit.avg_pool(x, kernel=kernel, stride=stride, backend=backend)
    np.testing.assert_allclose(out[0, 0], moving, rtol=1e-12, atol=1e-12)
