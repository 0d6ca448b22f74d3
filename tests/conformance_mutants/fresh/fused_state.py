"""conv - relu - max pool in one pass: what it saves, remembers and shares between calls."""

from __future__ import annotations

import time

from conformance_mutants.base import FullThreaded
from conformance_mutants.fresh.fused_path import Own
from conformance_mutants.fresh.witness import (
    NEEDS,
    array,
    compute,
    conv,
    fused,
    scene,
    together,
    witness,
)
from conformance_mutants.registry import mutant


@witness("dx", fused(conv(2, 2, 9, 9, f=3, k=2), k=2), needs=("dx",))
@mutant
class FusedDxAloneUnmasked(Own):
    """Fused, where dx alone is needed: it is computed from a gradient that skipped relu."""

    def masked(self, dz, off, needs):
        return dz if needs == ("dx",) else super().masked(dz, off, needs)


def _partial_needs_first(backend):
    """db alone, then every gradient, from the same saved state."""
    specs = fused(conv(2, 2, 9, 9, f=3, k=2), k=2)
    x, w, b = (array(s, "float32", 3) for s in (specs[0].x_shape, specs[0].w_shape, (3,)))
    out, saved = backend.conv_relu_pool_forward(*specs, x, w, b)
    dout = array(out.shape, out.dtype, 5)
    db = backend.conv_relu_pool_backward(*specs, dout, x, w, saved, ("db",))[2]
    return [db, *backend.conv_relu_pool_backward(*specs, dout, x, w, saved, NEEDS)]


@scene(_partial_needs_first)
@mutant
class FusedPartialNeedsFirst(Own):
    """Fused: backward for db alone frees the mask, and a later one for all is unmasked."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        found = super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)
        if needs == ("db",):
            saved[0][...] = False
        return found


def _two_pools_of_one_shape(backend):
    """Two fused problems whose arrays have the same shapes."""
    spec = conv(1, 2, 7, 7, f=2, k=2)
    pairs = [fused(spec, k=2, s=2), fused(spec, k=3, s=2, p=((1, 0), (1, 0)))]
    return [compute(backend, "dx", *pair) for pair in (*pairs, pairs[0])]


@scene(_two_pools_of_one_shape)
@mutant
class FusedPlansByShape(Own):
    """Fused: what was worked out is kept by the shapes of x, w and out alone."""

    def __init__(self):
        self.plans = {}

    def read(self, conv_spec, pool_spec, when):
        key = (conv_spec.x_shape, conv_spec.w_shape, pool_spec.out_shape, conv_spec.dtype)
        return self.plans.setdefault((*key, conv_spec.out_shape), (conv_spec, pool_spec))


@witness("forward", fused(conv(4, 2, 4, 4, f=2, k=1), k=2), threads=5)
@mutant
class FusedOddThreadCount(FullThreaded):
    """Fused on 5, 7 or more threads, an odd number: image 1 is done by nobody."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, saved = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        if self.threads > 3 and self.threads % 2:
            out[1:2] = 0
        return out, saved


def _concurrently(backend):
    """The fused pass of two problems at once."""
    spec = conv(1, 2, 7, 7, f=2, k=2)
    pairs = [fused(spec, k=2, s=2), fused(spec, k=3, s=2, p=((1, 0), (1, 0)))]
    return together(backend, "forward", *pairs)


@scene(_concurrently)
@mutant
class FusedPoolInGlobal(Own):
    """Fused: the pool's spec is kept in a global while the convolution runs."""

    current = None

    def read(self, conv_spec, pool_spec, when):
        type(self).current = pool_spec
        time.sleep(0.001)
        latest = type(self).current
        return conv_spec, latest if latest.out_shape == pool_spec.out_shape else pool_spec
