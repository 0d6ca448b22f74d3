"""Batches for a model, and a check of its gradients."""

from __future__ import annotations

import numpy as np

from convkit.gradcheck import gradcheck
from convkit.models import Context, Sequential


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


def check_layer(layer, shape, n=3, seed=3):
    """Compare a layer's dx and gradients with numerical ones, called as a user would call it."""
    net = Sequential([layer], input_dim=shape, dtype=np.float64, rng=seed)
    (place,) = net.places
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, *shape))
    dout = rng.standard_normal((n, *net.output_dim))
    arrays = place.arrays(net)
    context = Context(None, net.rng)
    state = net.rng.bit_generator.state

    def forward(_):
        net.rng.bit_generator.state = state  # the same dropout masks
        return place.layer.forward(x, dict(arrays), context)[0]

    forward(x)
    net.rng.bit_generator.state = state
    out, cache = place.layer.forward(x, dict(arrays), context)
    assert out.shape == (n, *net.output_dim)
    needs = ("x", *(own for own, _ in place.params))
    dx, grads = place.layer.backward(dout, cache, needs)
    for value, gradient in [(x, dx), *((arrays[own], grads[own]) for own in needs[1:])]:
        report = gradcheck(forward, value, gradient, dout, h=1e-6, floor=1e-2)
        assert report.error < 1e-6, str(report)
    return net
