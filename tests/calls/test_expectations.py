"""What a reference expects: exact where results are exact, within the bound where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_backend import every_call, planted

import convkit


def test_float64_is_held_to_float64(rng):
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        every_call(rng, planted("out", 1e-9), "f8")


def test_max_pooling_is_compared_with_equality():
    x = np.ones((1, 1, 4, 4))
    tiny = np.finfo(float).eps
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        convkit.max_pool(x, kernel=2, backend=planted("pool out", tiny))


def test_not_a_number_and_infinity_are_no_false_alarm(backend):
    x = np.ones((1, 1, 6, 6), "f4")
    x[0, 0, 0, 0], x[0, 0, 5, 5] = np.nan, np.inf
    with convkit.verify_with("naive"):
        convkit.conv(x, np.ones((1, 1, 3, 3), "f4"), backend=backend)
        convkit.max_pool(x, kernel=2, backend=backend)
        convkit.avg_pool(x, kernel=2, backend=backend)


def fused(backend, x, w):
    out, cache = convkit.conv_relu_pool_forward(x, w, None, {}, {"kernel": 2}, backend=backend)
    convkit.conv_relu_pool_backward(np.ones_like(out), cache)


def test_the_gradient_of_a_maximum_is_compared_with_equality():
    with convkit.verify_with("naive"):
        out, cache = convkit.max_pool_forward(
            np.ones((1, 1, 4, 4)), kernel=2, backend=planted("pool dx", 1e-16)
        )
        with pytest.raises(convkit.VerifyError):
            convkit.max_pool_backward(out, cache)


def test_a_wrong_gradient_of_the_fused_operation_is_found(rng):
    x, w = rng.standard_normal((1, 2, 8, 8)), rng.standard_normal((3, 2, 3, 3))
    with convkit.verify_with("naive"):
        fused("naive", x, w)
        with pytest.raises(convkit.VerifyError, match="dx"):
            fused(planted("dx", 1e-6), x, w)


def test_a_maximum_that_rounding_decides_is_no_false_alarm():
    x, w = np.ones((1, 1, 3, 3), "f4"), np.ones((1, 1, 2, 2), "f4")
    with convkit.verify_with("naive"):  # all elements are 4; the last one is a little larger
        fused(planted("out", 1e-6), x, w)
