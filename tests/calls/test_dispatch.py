"""The path of one call: known problems are one look-up, and a failed call never falls back."""

from __future__ import annotations

import numpy as np
import pytest
from small_calls import W, X

import convkit
from convkit.calls import dispatch


def test_an_error_in_a_call_never_falls_back(double):
    def fails(*_):
        raise ZeroDivisionError("oh")

    double.conv_forward = fails
    with pytest.raises(convkit.BackendCallError):
        convkit.conv_forward(X, W, backend=[double(), "naive"])


def test_a_known_problem_is_one_look_up(double, monkeypatch):
    backend = double()
    convkit.conv(X, W, stride=1, backend=backend)
    monkeypatch.setattr(dispatch, "new_plan", None)
    convkit.conv(X, W, stride=1, backend=backend)
    with pytest.raises(TypeError):
        convkit.conv(X, W, stride=2, backend=backend)


GEOMETRY = {
    "conv": ("stride", "pad", "dilation", "groups"),
    "max_pool": ("kernel", "stride", "pad", "dilation", "ceil_mode"),
    "avg_pool": ("kernel", "stride", "pad", "ceil_mode", "count_include_pad"),
}

CASES = [(o, name, None) for o, names in GEOMETRY.items() for name in names]
CASES += [("conv_relu_pool", n, p) for p, o in enumerate(("conv", "max_pool")) for n in GEOMETRY[o]]


@pytest.mark.parametrize("wrong", [1.0, True, np.float32(1), np.True_, (1.0, 1), [1, True]])
@pytest.mark.parametrize(("operation", "name", "place"), CASES)
def test_equal_keys_of_other_types_do_not_meet(operation, name, place, wrong):
    x, w = np.ones((1, 2, 6, 6), "f4"), np.ones((2, 2, 3, 3), "f4")
    flag = name in ("ceil_mode", "count_include_pad")

    def call(value):
        if operation == "conv":
            return convkit.conv(x, w, **{name: value})
        params = [{}, {"kernel": 2}]
        params[1 if place is None else place][name] = value
        if operation == "conv_relu_pool":
            return convkit.conv_relu_pool_forward(x, w, None, *params)
        return getattr(convkit, operation)(x, **params[1])

    wrong = 1 if flag and isinstance(wrong, bool | np.bool_) else wrong
    call(True if flag else 1)
    with pytest.raises(convkit.ParameterError, match=name):
        call(wrong)


def test_what_a_new_problem_raises_does_not_tell_of_the_look_up():
    x = np.ones((1, 3, 4, 4))
    for call in (lambda: convkit.conv(x, x[:, :2]), lambda: convkit.max_pool(x, kernel=9)):
        with pytest.raises(convkit.ConvkitError) as caught:
            call()
        assert caught.value.__context__ is None
