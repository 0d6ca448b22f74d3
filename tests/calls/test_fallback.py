"""What a backend has no methods for is composed of those it has, and each part is checked."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit.calls.fallback import FALLBACKS
from convkit.calls.methods import methods_of
from convkit.operations import CONV_RELU_POOL
from convkit.registry import record_of_object

CONV, POOL = {"stride": (2, 1), "pad": ((1, 0), (0, 2)), "groups": 2}, {"kernel": 2, "pad": 1}


@pytest.fixture
def arrays(rng):
    shapes = ((2, 4, 7, 6), (6, 2, 3, 2), (6,))
    return [rng.integers(-3, 4, shape).astype("f8") for shape in shapes]


def parts(backend, x, w, b):
    """Return out, and a function of dout that returns the gradients, layer by layer."""
    z, conv_cache = convkit.conv_forward(x, w, b, CONV, backend=backend)
    out, pool_cache = convkit.max_pool_forward(np.maximum(z, 0), POOL, backend=backend)

    def backward(dout):
        dz = np.where(z > 0, convkit.max_pool_backward(dout, pool_cache), 0)
        return convkit.conv_backward(dz, conv_cache)

    return out, backward


def test_it_is_used_where_the_backend_has_no_methods_of_its_own(double):
    specs = CONV_RELU_POOL.make_specs(((1, 2, 4, 4), (3, 2, 3, 3), None), ({}, POOL), "float64")
    methods = methods_of(CONV_RELU_POOL, specs, record_of_object(double()))
    assert type(methods.forward.__self__) is FALLBACKS["conv_relu_pool"]
    assert methods.infer is None
    double.conv_relu_pool_forward = double.conv_relu_pool_backward = lambda *_: None
    backend = double()
    own = methods_of(CONV_RELU_POOL, specs, record_of_object(backend))
    assert own.forward == backend.conv_relu_pool_forward


@pytest.mark.parametrize("bias", [True, False])
def test_the_composition_equals_its_parts(double, arrays, rng, bias):
    x, w, b = arrays[0], arrays[1], arrays[2] if bias else None
    out, cache = convkit.conv_relu_pool_forward(x, w, b, CONV, POOL, backend=double())
    expected, backward = parts(double(), x, w, b)
    np.testing.assert_array_equal(out, expected)
    dout = rng.integers(-3, 4, out.shape).astype("f8")
    gradients = convkit.conv_relu_pool_backward(dout, cache)
    for got, gradient in zip(gradients, backward(dout), strict=True):
        np.testing.assert_array_equal(got, gradient)


def test_only_what_is_needed_is_asked_for(double, arrays):
    asked = []
    real = double.conv_backward

    def backward(self, spec, dout, x, w, saved, needs):
        asked.append(needs)
        return real(self, spec, dout, x, w, saved, needs)

    double.conv_backward = backward
    out, cache = convkit.conv_relu_pool_forward(*arrays, CONV, POOL, backend=double())
    convkit.conv_relu_pool_backward(out, cache, needs=("dw",))
    assert asked == [("dw",)]


def test_an_infinite_gradient_does_not_pass_a_closed_relu(double):
    x = np.array([[[[-1.0, 1.0]]]])
    _, cache = convkit.conv_relu_pool_forward(
        x, np.ones((1, 1, 1, 1)), None, {}, {"kernel": 1}, backend=double()
    )
    dx, dw, _ = convkit.conv_relu_pool_backward(np.array([[[[np.inf, 2.0]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[0, 2]]]])
    np.testing.assert_array_equal(dw, [[[[2]]]])


@pytest.mark.parametrize("part", ["conv_forward", "pool_backward"])
def test_a_wrong_part_is_named_before_the_next_computes_with_it(double, arrays, part):
    real = getattr(double, part)

    def wrong(self, *args):
        found = real(self, *args)
        return (found[0][:-1].copy(), found[1]) if part == "conv_forward" else found[:-1].copy()

    setattr(double, part, wrong)

    def call():
        out, cache = convkit.conv_relu_pool_forward(*arrays, CONV, POOL, backend=double())
        convkit.conv_relu_pool_backward(out, cache)

    with pytest.raises(convkit.BackendResultError) as caught:
        call()
    said = f"backend 'double' returned a wrong result from {part} for "
    assert str(caught.value).startswith(said)
    assert "it has shape" in str(caught.value)
