"""Verification of normalisations: right results pass, and each kind of wrong one is found."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import registry

ENDS = [(False, False), (True, False), (False, True), (True, True)]  # relu, residual


def arrays(rng, shape, dtype, residual):
    x = rng.normal(0.5, 2, shape).astype(dtype)
    gamma, beta = (rng.normal(size=shape[1]).astype(dtype) for _ in range(2))
    return x, gamma, beta, rng.normal(size=shape).astype(dtype) if residual else None


class Wrong:
    """A backend with a batch normalisation of its own, which forgets beta."""

    name, api_version = "wrong", 1

    def __init__(self):
        self.real = registry.load("im2col_numpy").backend

    def __getattr__(self, name):
        if name.startswith(("conv_f", "conv_b", "pool")):
            return getattr(self.real, name)
        raise AttributeError(name)

    def supports(self, spec):
        return None

    def batch_norm_forward(self, spec, x, gamma, beta, mean, var, residual):
        from convkit.calls.norms import Norm

        return Norm(None).forward(spec, x, gamma, np.zeros_like(beta), mean, var, residual)

    def batch_norm_backward(self, spec, dout, x, gamma, beta, saved, needs):
        from convkit.calls.norms import Norm

        dx, *rest = Norm(None).backward(spec, dout, x, gamma, beta, saved, needs)
        return dx + 1e-3, *rest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("relu", "residual"), ENDS)
def test_they_can_be_verified(rng, relu, residual, dtype):
    x, gamma, beta, more = arrays(rng, (4, 6, 5, 4), dtype, residual)
    keywords = {"relu": relu, "residual": more}
    with convkit.verify_with("naive"):
        out, cache = convkit.batch_norm_forward(x, gamma, beta, **keywords)
        convkit.batch_norm_backward(out, cache)
        out, cache = convkit.group_norm_forward(x, gamma, beta, groups=2, **keywords)
        convkit.group_norm_backward(out, cache)
        with pytest.raises(convkit.VerifyError, match="batch_norm_forward"):
            convkit.batch_norm_forward(x, gamma, beta, **keywords, backend=Wrong())
        _, cache = convkit.batch_norm_forward(x, gamma, 0 * beta, **keywords, backend=Wrong())
        with pytest.raises(convkit.VerifyError, match="batch_norm_backward"):
            convkit.batch_norm_backward(out, cache)
