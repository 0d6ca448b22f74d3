"""The network of separable convolutions: its size and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import worst_errors

from convkit import ParameterError
from convkit.models import MobileNet


def test_shapes_of_the_default():
    net = MobileNet(rng=0)
    assert net.params["W1"].shape == (32, 3, 3, 3)
    assert net.params["W2"].shape == (32, 1, 3, 3)  # depthwise
    assert net.params["W3"].shape == (64, 32, 1, 1)
    assert net.params["W16"].shape == (512, 10)
    assert net.places[-3].out_shape == (512, 4, 4)


def test_gradients():
    net = MobileNet((2, 8, 7), 3, 4, ((6, 1), (5, 2)), reg=0.1, dtype=np.float64, rng=1)
    assert max(worst_errors(net).values()) < 1e-5


def test_arguments_are_checked():
    with pytest.raises(ParameterError, match=r"^blocks\[1\] \(=\(8, 0\)\) must be an integer of"):
        MobileNet(blocks=((8, 1), (8, 0)))
    with pytest.raises(ParameterError, match=r"^stem_filters \(=0\) must be an integer of at"):
        MobileNet(stem_filters=0)
