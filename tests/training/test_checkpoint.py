"""The functions of convkit.tensors, under the name that training code knows."""

from __future__ import annotations

from convkit import tensors
from convkit.training import checkpoint


def test_they_are_the_same_functions():
    assert checkpoint.save_weights is tensors.save_weights
    assert checkpoint.load_weights is tensors.load_weights
