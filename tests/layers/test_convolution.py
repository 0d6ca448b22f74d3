"""Convolutions with their neighbours, and im2col in the course's order."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import check_array_gradients

import convkit
from convkit import ParameterError, ShapeError, layers

GEOMETRIES = [(3, 3, 1, 1), (2, 3, 0, 1), (3, 2, 2, 2), (1, 1, 0, 3), (4, 5, 1, 2)]
geometries = pytest.mark.parametrize(("height", "width", "padding", "stride"), GEOMETRIES)


def test_the_conv_layers_are_their_parts(rng):
    x, w, b = (rng.standard_normal(shape) for shape in ((2, 3, 6, 5), (4, 3, 3, 3), (4,)))
    gamma, beta, param = rng.random(4) + 0.5, rng.standard_normal(4), {"stride": 2, "pad": 1}
    z = convkit.conv(x, w, b, param)
    np.testing.assert_array_equal(layers.conv_relu_forward(x, w, b, param)[0], np.maximum(z, 0))
    bn_param = {"mode": "train"}
    out, _ = layers.conv_bn_relu_forward(x, w, b, gamma, beta, param, bn_param)
    mean, var = z.mean(axis=(0, 2, 3)), z.var(axis=(0, 2, 3))
    normal = (z - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    expected = np.maximum(gamma[:, None, None] * normal + beta[:, None, None], 0)
    np.testing.assert_allclose(out, expected, atol=1e-12)
    np.testing.assert_allclose(bn_param["running_var"], 0.1 * var)


def test_the_modes_of_conv_bn_relu(rng):
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 5, 5), (4, 3, 3, 3), (4,))]
    gamma, mean, var = np.ones(4), rng.standard_normal(4), rng.random(4) + 1
    bn_param = {"mode": "test", "running_mean": mean, "running_var": var, "eps": 0.0}
    out, _ = layers.conv_bn_relu_forward(*arrays, gamma, gamma, {}, bn_param)
    z = convkit.conv(*arrays)
    normal = (z - mean[:, None, None]) / np.sqrt(var)[:, None, None]
    np.testing.assert_allclose(out, np.maximum(normal + 1, 0), atol=1e-12)


@pytest.mark.parametrize("normalised", [False, True])
def test_gradients(rng, normalised):
    shapes = ((2, 2, 5, 4), (3, 2, 3, 3), (3,), (3,), (3,))[: 5 if normalised else 3]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    stem, bn = ("conv_bn_relu", ({"mode": "train"},)) if normalised else ("conv_relu", ())

    def forward(*arrays):
        return getattr(layers, f"{stem}_forward")(*arrays, {"stride": 1, "pad": 1}, *bn)

    dout = rng.standard_normal((2, 3, 5, 4))
    check_array_gradients(forward, getattr(layers, f"{stem}_backward"), arrays, dout)


def columns_by_definition(x, height, width, padding, stride):
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    oh, ow = ((s + 2 * padding - k) // stride + 1 for s, k in ((h, height), (w, width)))
    cols = np.empty((c * height * width, oh * ow * n), x.dtype)
    for row, (channel, i, j) in enumerate(np.ndindex(c, height, width)):
        for column, (p, q, image) in enumerate(np.ndindex(oh, ow, n)):
            cols[row, column] = padded[image, channel, p * stride + i, q * stride + j]
    return cols


@geometries
def test_im2col_has_the_course_s_order(rng, height, width, padding, stride):
    x = rng.standard_normal((2, 3, 6, 7)).astype(np.float32)
    cols = layers.im2col_indices(x, height, width, padding, stride)
    np.testing.assert_array_equal(cols, columns_by_definition(x, height, width, padding, stride))
    assert cols.flags.c_contiguous


@geometries
def test_col2im_is_the_adjoint(rng, height, width, padding, stride):
    x = rng.integers(-9, 9, (2, 3, 6, 7)).astype(np.float64)
    cols = layers.im2col_indices(x, height, width, padding, stride)
    other = rng.integers(-9, 9, cols.shape).astype(np.float64)
    back = layers.col2im_indices(other, x.shape, height, width, padding, stride)
    assert back.shape == x.shape
    assert (cols * other).sum() == (x * back).sum()


def test_a_convolution_is_a_product_with_im2col(rng):
    x, w = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((4, 3, 3, 3))
    product = w.reshape(4, -1) @ layers.im2col_indices(x, 3, 3)
    out = product.reshape(4, 6, 7, 2).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(out, convkit.conv(x, w, pad=1), atol=1e-12)


def test_arguments_are_checked():
    x = np.ones((2, 3, 4, 4))
    with pytest.raises(ParameterError, match=r"^stride \(=0\) must be an integer of at least 1$"):
        layers.im2col_indices(x, 3, 3, 1, 0)
    with pytest.raises(ShapeError, match=r"^x\.shape \(=\(2, 3\)\) must be \(N, C, H, W\)$"):
        layers.im2col_indices(x[:, :, 0, 0], 3, 3)
    with pytest.raises(ShapeError, match=r"at least as large as the window \(=7x3\)$"):
        layers.im2col_indices(x, 7, 3, 1)
    with pytest.raises(ShapeError, match=r"^cols\.shape \(=\(27, 31\)\) must be \(27, 32\) for"):
        layers.col2im_indices(np.ones((27, 31)), x.shape)
