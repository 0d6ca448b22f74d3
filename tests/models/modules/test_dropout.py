"""Dropout: the share kept, its masks, its gradient."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import check_layer

from convkit import ParameterError, layers
from convkit.models import Dropout, Sequential


def masks(net, calls=1):
    """Return what training makes of ones: 0, or 1 / keep."""
    found = []
    net.loss_function = lambda scores, y: (found.append(scores) or 0.0, np.zeros_like(scores))
    for _ in range(calls):
        net.loss(np.ones((50, *net.input_dim)), 0)
    return found


def test_gradient():
    check_layer(Dropout(keep=0.6), (4, 5))


def test_the_share_is_kept_and_inference_keeps_all():
    net = Sequential([Dropout(keep=0.25)], input_dim=(1000,), rng=0, loss=layers.mse_loss)
    (out,) = masks(net)
    assert np.mean(out != 0) == pytest.approx(0.25, abs=0.01)
    assert set(np.unique(out)) == {0, 4}
    assert (net.loss(np.ones((2, 1000))) == 1).all()


def test_masks_differ_unless_there_is_a_seed():
    first, second = masks(Sequential([Dropout(keep=0.5)], input_dim=(20,), rng=0), 2)
    assert (first != second).any()
    first, second = masks(Sequential([Dropout(keep=0.5, seed=3)], input_dim=(20,)), 2)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("keep", [0, 1.5, "half"])
def test_the_share_is_checked(keep):
    with pytest.raises(ParameterError, match=r"^keep \(=.*\) must be greater than 0 and at most 1"):
        Dropout(keep=keep)


def test_the_share_is_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        Dropout(0.5)
