"""The models' fully connected layers: the layers' values, from the backend's own convolution."""

from __future__ import annotations

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

import convkit
from convkit import ShapeError, layers
from convkit.models import affine


def whole(rng, dtype, *shape):
    """Small whole numbers: every order of summation gives the same sum."""
    return rng.integers(-8, 9, shape).astype(dtype)


class Spy(Im2colNumpy):
    """It writes down its convolutions; ``refused`` is what supports answers."""

    name = "spy"

    def __init__(self, refused=None):
        self.refused = refused
        self.seen = []

    def supports(self, spec):
        return self.refused

    def conv_forward(self, spec, x, w, b):
        self.seen.append(("forward", spec.x_shape, spec.w_shape))
        return super().conv_forward(spec, x, w, b)

    def conv_backward(self, spec, dout, x, w, saved, needs):
        self.seen.append(("backward", spec.x_shape, spec.w_shape, needs))
        return super().conv_backward(spec, dout, x, w, saved, needs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("n", "inner", "m"), [(1, (3,), 1), (5, (2, 3, 4), 7), (40, (70,), 33)])
def test_values_are_those_of_the_layers(backend, rng, dtype, relu, n, inner, m):
    x, w = whole(rng, dtype, n, *inner), whole(rng, dtype, int(np.prod(inner)), m)
    b, dout = whole(rng, dtype, m), whole(rng, dtype, n, m)
    name = "affine_relu" if relu else "affine"
    forward, backward = (getattr(affine, f"{name}_{way}") for way in ("forward", "backward"))
    out, cache = forward(x, w, b, backend=backend)
    results = [out, *backward(dout, cache)]
    out, cache = getattr(layers, f"{name}_forward")(x, w, b)
    expected = [out, *getattr(layers, f"{name}_backward")(dout, cache)]
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)
        assert result.dtype == dtype
        assert result.shape == value.shape


def test_the_backend_makes_the_products(rng):
    spy = Spy()
    x, w = whole(rng, np.float64, 5, 2, 3), whole(rng, np.float64, 6, 4)
    _, cache = affine.affine_forward(x, w, np.zeros(4), backend=spy)
    affine.affine_backward(whole(rng, np.float64, 5, 4), cache)
    shapes = ((1, 6, 1, 4), (5, 6, 1, 1))
    assert spy.seen == [("forward", *shapes), ("backward", *shapes, ("dx", "dw"))]


def test_a_backend_without_this_convolution_leaves_it_to_numpy(rng):
    spy = Spy(refused="only 3x3 kernels.")
    x, w, b = (whole(rng, np.float64, *shape) for shape in ((5, 6), (6, 4), (4,)))
    out, cache = affine.affine_relu_forward(x, w, b, backend=spy)
    dout = whole(rng, np.float64, 5, 4)
    expected, layer_cache = layers.affine_relu_forward(x, w, b)
    results = zip(
        (out, *affine.affine_relu_backward(dout, cache)),
        (expected, *layers.affine_relu_backward(dout, layer_cache)),
        strict=True,
    )
    for result, value in results:
        np.testing.assert_array_equal(result, value)
    assert not spy.seen


def test_an_unknown_backend_is_not_passed_over():
    with pytest.raises(convkit.BackendNotFoundError):
        affine.affine_forward(np.ones((2, 3)), np.ones((3, 4)), np.ones(4), backend="nonesuch")


def test_no_examples(backend):
    out, cache = affine.affine_forward(
        np.ones((0, 2, 3)), np.ones((6, 4)), np.ones(4), backend=backend
    )
    dx, dw, db = affine.affine_backward(out, cache)
    assert (out.shape, dx.shape) == ((0, 4), (0, 2, 3))
    np.testing.assert_array_equal(dw, np.zeros((6, 4)))
    np.testing.assert_array_equal(db, np.zeros(4))


def test_shapes_are_checked_in_the_layer_s_own_words():
    with pytest.raises(ShapeError, match=r"^w\.shape \(=\(5, 4\)\) must be \(4, M\): x\.shape"):
        affine.affine_forward(np.ones((2, 2, 2)), np.ones((5, 4)), np.ones(4))
    with pytest.raises(ShapeError, match=r"^b\.shape \(=\(3,\)\) must be \(4,\), one per column"):
        affine.affine_forward(np.ones((2, 2, 2)), np.ones((4, 4)), np.ones(3))
