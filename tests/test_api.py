"""The layer functions: what they take and return beyond what each module below tests."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import convkit
from convkit.operations import OPERATIONS, REQUIRED

X = np.arange(2.0 * 4 * 7 * 6).reshape(2, 4, 7, 6)
W = np.ones((4, 4, 3, 2))
ONE = np.ones(4)
#: The inputs that are no keywords.
INPUTS = {"x": X, "w": W, "b": None, "gamma": ONE, "beta": ONE}
EACH = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


def test_needs_are_names_of_gradients():
    out, cache = convkit.conv_forward(X, W)
    assert convkit.conv_backward(out, cache, needs=()) == (None, None, None)
    dx, dw, db = convkit.conv_backward(out, cache, needs=("dw",))
    assert (dx, db) == (None, None)
    assert dw.shape == W.shape
    for wrong in ("dx", ("dx", "dy")):
        with pytest.raises(convkit.ParameterError, match="needs"):
            convkit.conv_backward(out, cache, needs=wrong)


def inputs_of(operation):
    return [INPUTS[name] for name in operation.inputs if name in INPUTS]


def required_of(operation):
    """Return a parameter dictionary for each spec, with what must be given for inference."""
    running = {"mode": "test", "running_mean": ONE, "running_var": ONE}
    return [
        {key: 2 for key, default in one.defaults.items() if default is REQUIRED}
        | (running if "running_mean" in one.others else {})
        for one in operation.parameters
    ]


def functions_of(operation):
    names = [f"{operation.name}_forward", *([operation.name] if operation.infer else [])]
    return [getattr(convkit, name) for name in names]


@EACH
def test_a_dictionary_that_is_given_is_not_changed(operation):
    given = required_of(operation)
    for parameters, one in zip(operation.parameters, given, strict=True):
        one |= {"pad": [1, 1]} if "pad" in parameters.defaults else {"eps": 1e-3}
    before = copy.deepcopy(given)
    for function in functions_of(operation):
        function(*inputs_of(operation), *given)
    np.testing.assert_equal(given, before)


@EACH
def test_the_backend_may_be_named_in_a_dictionary(operation):
    forward, *_ = functions_of(operation)
    *first, last = required_of(operation)
    _, cache = forward(*inputs_of(operation), *first, last | {"backend": "naive"})
    assert cache.backend == "naive"
    _, cache = forward(*inputs_of(operation), *first, last, backend="im2col_numpy")
    assert cache.backend == "im2col_numpy"


@EACH
def test_inference_gives_the_out_of_forward_alone(operation, backend):
    forward, *infer = functions_of(operation)
    out, _ = forward(*inputs_of(operation), *required_of(operation), backend=backend)
    for function in infer:
        got = function(*inputs_of(operation), *required_of(operation), backend=backend)
        np.testing.assert_allclose(got, out, rtol=1e-12)
