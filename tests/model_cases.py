"""Batches for a model, and a check of its gradients."""

from __future__ import annotations

import numpy as np

from convkit.gradcheck import gradcheck


def batch(model, n=3, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, *model.input_dim))
    return X, rng.integers(model.num_classes, size=n)


def worst_errors(model, reset=lambda: None):
    """Return the worst relative error of every parameter's gradient."""
    X, y = batch(model)

    def loss(_):
        reset()
        return model.loss(X, y)[0]

    reset()
    _, grads = model.loss(X, y)
    assert sorted(grads) == sorted(model.params)
    # The floor is the size below which a difference of 1e-11, the rounding of the loss, shows.
    return {
        name: gradcheck(loss, w, grads[name], h=1e-5, floor=1e-3).error
        for name, w in model.params.items()
    }
