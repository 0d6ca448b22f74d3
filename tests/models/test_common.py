"""What all models share: seeds, backends, the selection."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import batch

import convkit
from convkit.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_repeats_and_backends_agree(name):
    first, second = (
        MODELS[name](input_dim=(2, 8, 8), dtype="f8", rng=5, backend=b)
        for b in ("naive", "im2col_numpy")
    )
    for key in first.params:
        np.testing.assert_array_equal(first.params[key], second.params[key])
    X, y = batch(first)
    (loss, grads), (other_loss, others) = first.loss(X, y), second.loss(X, y)
    assert loss == pytest.approx(other_loss, rel=1e-12)
    for key in grads:
        np.testing.assert_allclose(grads[key], others[key], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_no_backend_given_follows_the_selection(name):
    model = MODELS[name](input_dim=(1, 4, 4), rng=0)
    with convkit.use_backend("no_such_module:x"), pytest.raises(convkit.BackendLoadError):
        model.loss(np.zeros((1, 1, 4, 4)))
