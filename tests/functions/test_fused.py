"""A convolution and its relu in one call: what its parts give, on every bundled backend."""

from __future__ import annotations

import numpy as np
import pytest

import convkit

GEOMETRY = {"stride": (2, 1), "pad": ((1, 0), (0, 2)), "groups": 2}
GRADIENTS = ("dx", "dw", "db")


def arrays(rng, dtype, bias):
    x, w, b = (rng.integers(-4, 5, s).astype(dtype) for s in ((3, 4, 7, 6), (6, 2, 3, 2), (6,)))
    return x, w, b if bias else None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_convolution_and_its_relu(rng, backend, bias, dtype):
    x, w, b = arrays(rng, dtype, bias)
    z, conv_cache = convkit.conv_forward(x, w, b, GEOMETRY, backend=backend)
    out, cache = convkit.conv_relu_forward(x, w, b, GEOMETRY, backend=backend)
    np.testing.assert_array_equal(out, np.maximum(z, 0))
    assert (z == 0).any(), "the derivative at 0 is asked"
    np.testing.assert_array_equal(convkit.conv_relu(x, w, b, GEOMETRY, backend=backend), out)
    dout = rng.integers(-3, 4, out.shape).astype(dtype)
    out[...] = -1  # what is saved is no view of the result
    found = convkit.conv_relu_backward(dout, cache)
    wanted = convkit.conv_backward(np.where(z > 0, dout, 0).astype(dtype), conv_cache)
    for name, gradient, value in zip(GRADIENTS, found, wanted, strict=True):
        np.testing.assert_array_equal(gradient, value, err_msg=name)
    dx, dw, _ = convkit.conv_relu_backward(dout, cache, needs=("dw",))
    assert dx is None
    np.testing.assert_array_equal(dw, wanted[1])


def test_what_is_not_finite(backend):
    """relu keeps NaN, and an infinite gradient does not pass where it is off."""
    x = np.array([[[[-1.0, 1.0, np.nan, np.inf]]]])
    out, cache = convkit.conv_relu_forward(x, np.ones((1, 1, 1, 1)), backend=backend)
    np.testing.assert_array_equal(out, [[[[0, 1, np.nan, np.inf]]]])
    dx, _, _ = convkit.conv_relu_backward(np.array([[[[np.inf, 2.0, 3.0, 5.0]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[0, 2, 0, 5]]]])


@pytest.mark.parametrize("pad_mode", ["zeros", "reflect"])
def test_it_is_verified(rng, pad_mode):
    x, w, b = arrays(rng, "float32", True)
    given = {**GEOMETRY, "pad_mode": pad_mode, "backend": "cython"}
    with convkit.verify_with("naive"):
        out, cache = convkit.conv_relu_forward(x, w, b, **given)
        convkit.conv_relu_backward(np.ones_like(out), cache)
        convkit.conv_relu(x, w, b, **given)


def test_a_wrong_result_is_found(double, rng):
    x, w, b = arrays(rng, "float64", True)
    real = double.conv_backward

    def wrong(self, spec, dout, *rest):
        return real(self, spec, np.abs(dout), *rest)

    double.conv_backward = wrong
    with convkit.verify_with("naive"):
        out, cache = convkit.conv_relu_forward(x, w, b, GEOMETRY, backend=double())
        with pytest.raises(convkit.VerifyError):
            convkit.conv_relu_backward(-np.ones_like(out), cache)


def test_a_part_of_the_wrong_shape_is_named(double, rng):
    x, w, b = arrays(rng, "float64", True)
    real = double.conv_forward

    def wrong(self, *args):
        out, saved = real(self, *args)
        return out[:-1].copy(), saved

    double.conv_forward = wrong
    said = "backend 'double' returned a wrong result from conv_forward for .* it has shape"
    with pytest.raises(convkit.BackendResultError, match=said):
        convkit.conv_relu_forward(x, w, b, GEOMETRY, backend=double())


def test_it_can_be_explained():
    spec = convkit.spec.ConvSpec.of((1, 2, 5, 5), (3, 2, 3, 3), dtype="float32")
    selection = convkit.explain(spec, operation="conv_relu", backend="cython")
    assert selection.operation == "conv_relu"
    assert selection.winner == "cython"
