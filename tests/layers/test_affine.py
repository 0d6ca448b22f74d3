"""Fully connected layers: values by hand, gradients by differences, shapes."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import check_array_gradients

from convkit import ShapeError, layers
from convkit.gradcheck import rel_error


def test_affine_forward_by_hand():
    x = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    w = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])
    out, _ = layers.affine_forward(x, w, np.array([10.0, 20.0, 30.0]))
    assert out.tolist() == [[15, 22, 29], [21, 24, 27]]


def test_affine_known_answer():
    x = np.linspace(-0.1, 0.5, num=2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    w = np.linspace(-0.2, 0.3, num=120 * 3).reshape(120, 3)
    out, _ = layers.affine_forward(x, w, np.linspace(-0.3, 0.1, num=3))
    expected = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    assert rel_error(out, expected) < 1e-8


def test_affine_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((5, 2, 3), (6, 4), (4,))]
    check_array_gradients(
        layers.affine_forward, layers.affine_backward, arrays, rng.standard_normal((5, 4))
    )


def test_affine_relu_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((5, 2, 3), (6, 4), (4,))]
    check_array_gradients(
        layers.affine_relu_forward,
        layers.affine_relu_backward,
        arrays,
        rng.standard_normal((5, 4)),
    )


def test_affine_of_no_examples():
    w = np.ones((6, 4), np.float32)
    out, cache = layers.affine_forward(np.ones((0, 2, 3), np.float32), w, np.ones(4, np.float32))
    dx, dw, db = layers.affine_backward(out, cache)
    assert out.shape == (0, 4)
    assert dx.shape == (0, 2, 3)
    assert not dw.any()
    assert not db.any()


def test_affine_shapes_are_checked():
    with pytest.raises(ShapeError, match=r"^w\.shape \(=\(5, 4\)\) must be \(6, M\): x\.shape"):
        layers.affine_forward(np.ones((2, 2, 3)), np.ones((5, 4)), np.ones(4))
    with pytest.raises(ShapeError, match=r"^b\.shape \(=\(3,\)\) must be \(4,\)"):
        layers.affine_forward(np.ones((2, 2, 3)), np.ones((6, 4)), np.ones(3))


def test_affine_bn_relu_is_its_parts(rng):
    x, w, b = (rng.standard_normal(shape) for shape in ((6, 2, 3), (6, 4), (4,)))
    gamma, beta, dout = rng.random(4) + 0.5, rng.standard_normal(4), rng.standard_normal((6, 4))
    param = {"mode": "train"}
    out, cache = layers.affine_bn_relu_forward(x, w, b, gamma, beta, param)
    product = x.reshape(6, 6) @ w + b
    normal = (product - product.mean(axis=0)) / np.sqrt(product.var(axis=0) + 1e-5)
    np.testing.assert_allclose(out, np.maximum(gamma * normal + beta, 0), atol=1e-12)
    np.testing.assert_allclose(param["running_mean"], 0.1 * product.mean(axis=0))
    assert [g.shape for g in layers.affine_bn_relu_backward(dout, cache)] == [
        x.shape, w.shape, b.shape, gamma.shape, beta.shape
    ]  # fmt: skip


def test_affine_bn_relu_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((6, 2, 3), (6, 4), (4,), (4,), (4,))]

    def forward(*arrays):
        return layers.affine_bn_relu_forward(*arrays, {"mode": "train"})

    dout = rng.standard_normal((6, 4))
    check_array_gradients(forward, layers.affine_bn_relu_backward, arrays, dout)
