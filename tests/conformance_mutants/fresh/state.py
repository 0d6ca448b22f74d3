"""Results and saved state that a later call finds changed; memory read beyond its end; zeros."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import RIGHT, FlatIndex, flat, ragged, without
from conformance_mutants.fresh.witness import (
    NEEDS,
    array,
    compute,
    conv,
    fused,
    inputs,
    pool,
    scene,
    witness,
)
from conformance_mutants.registry import mutant, result

CONV = conv(2, 2, 6, 6, f=3, k=3)
MAX = pool("max", 2, 2, 6, 6, k=2)


# --- rings of buffers -------------------------------------------------------------------------


class Ring:
    """The last few results of each shape, which are overwritten in turn."""

    def __init__(self, size):
        self.size, self.kept, self.turn = size, {}, {}

    def put(self, value):
        key = (value.shape, value.dtype)
        slots = self.kept.setdefault(key, [])
        if len(slots) < self.size:
            slots.append(value)
            return value
        turn = self.turn.get(key, 0)
        self.turn[key] = (turn + 1) % self.size
        slots[turn][...] = value
        return slots[turn]


def kept(count, path, *specs):
    """A scene: many results of different data, all kept."""
    return lambda backend: [compute(backend, path, *specs, seed=i) for i in range(count)]


@scene(kept(9, "forward", CONV))
@mutant
class RingOfEightOutputs(Full):
    """Results of conv_forward come from eight buffers: the ninth call overwrites the first."""

    def __init__(self):
        self.ring = Ring(8)

    def conv_forward(self, spec, x, w, b):
        out, saved = super().conv_forward(spec, x, w, b)
        return self.ring.put(out), saved


@scene(kept(5, "dx", CONV))
@mutant
class RingOfFourDx(Full):
    """dx comes from four buffers."""

    def __init__(self):
        self.ring = Ring(4)

    def conv_dx(self, spec, dout, w):
        return self.ring.put(super().conv_dx(spec, dout, w))


@scene(kept(9, "infer", MAX))
@mutant
class RingOfEightPoolInfer(Full):
    """Results of pool_infer come from eight buffers."""

    def __init__(self):
        self.ring = Ring(8)

    def pool_infer(self, spec, x):
        return self.ring.put(super().pool_infer(spec, x))


@scene(kept(4, "forward", *fused(CONV, k=2)))
@mutant
class RingOfThreeFused(Full):
    """Results of the fused pass come from three buffers."""

    def __init__(self):
        self.ring = Ring(3)

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, saved = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        return self.ring.put(out), saved


# --- answers remembered in what forward saved --------------------------------------------------


def two_backwards(*specs):
    """A scene: backward twice from one saved state, with different gradients."""

    def look(backend):
        given = inputs(specs[0])
        pools = specs[-1] is specs[0] is MAX
        name = "conv_relu_pool" if len(specs) == 2 else "pool" if pools else "conv"
        out, saved = getattr(backend, f"{name}_forward")(*specs, *given)
        found = []
        for seed in (1, 2):
            dout = array(out.shape, out.dtype, seed)
            args = (saved,) if name == "pool" else (*given[:2], saved, NEEDS)
            grads = getattr(backend, f"{name}_backward")(*specs, dout, *args)
            found += [grads] if name == "pool" else grads
        return found

    return look


@scene(two_backwards(CONV))
@mutant
class DwRememberedInSaved(Full):
    """dw is computed once for what forward saved; a second backward gets the same."""

    def conv_forward(self, spec, x, w, b):
        return super().conv_forward(spec, x, w, b)[0], {}

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, None, needs)
        if dw is not None and saved is not None:
            dw = saved.setdefault("dw", dw).copy()
        return dx, dw, db


@scene(two_backwards(MAX))
@mutant
class PoolDxRememberedInSaved(Full):
    """dx of max pooling is computed once for what forward saved."""

    def pool_forward(self, spec, x):
        out, saved = super().pool_forward(spec, x)
        return out, [saved]

    def pool_backward(self, spec, dout, saved):
        if len(saved) == 1:
            saved.append(super().pool_backward(spec, dout, saved[0]))
        return saved[1].copy()

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        return RIGHT.conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        return RIGHT.conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)


@scene(two_backwards(*fused(CONV, k=2)))
@mutant
class FusedMaskedDoutRemembered(Full):
    """The fused backward keeps the gradient before the convolution with what forward saved."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, saved = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        return out, [*saved]

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        if len(saved) == 2:
            off, winner = saved
            saved.append(self.mask(self.pool_backward(pool_spec, dout, winner), off))
        return self.conv_backward(conv_spec, saved[2], x, w, None, needs)


# --- memory and zeros -------------------------------------------------------------------------


@witness("dx", pool("max", 1, 3, 5, 6, k=2, s=1))
@mutant
class SavedIndexReadPastEnd(FlatIndex):
    """Max backward reads saved indices in vectors of 8: in the tail, from what lies behind them."""

    def max_dx(self, spec, dout, index):
        read = flat(index).copy()
        if ragged(read.shape[-1], 8, 16):
            read[..., -1] = read[..., 0]
        return super().max_dx(spec, dout, read.reshape(index.shape))


@witness("dx", fused(conv(3, 2, 9, 9, f=3, k=2, p=1), k=2, s=2), seed=18)
@mutant
class FusedMaskBitsReadPastEnd(Full):
    """The fused mask is saved in bytes, rounded down: the last bits are what lies behind: ones."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        off, winner = saved
        bits = np.array(off).reshape(-1)
        if bits.size > 64:
            bits[bits.size // 8 * 8 :] = True
        saved = (bits.reshape(off.shape), winner)
        return super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)


@witness("infer", conv(1, 3, 5, 5, f=4, k=2), data="nan", weights="zeros")
@mutant
class InferSkipsZeroWeights(Full):
    """conv_infer of one image leaves out weights that are 0, and so a NaN that they meet."""

    def conv_infer(self, spec, x, w, b):
        if len(x) == 1 and (w == 0).any():
            missing = np.isnan(x)
            whole = super().conv_infer(spec, np.where(missing, 0, x), w, b)
            marks = super().conv_infer(spec, missing.astype(x.dtype), np.abs(w), None)
            return np.where(marks > 0, np.nan, whole).astype(spec.dtype)
        return super().conv_infer(spec, x, w, b)


@witness("forward", conv(2, 6, 5, 5, f=6, g=6, k=3), data="nan", weights="zeros")
@result("conv_out", Full)
def depthwise_skips_zero_weights(spec, out, x, w):
    """A depthwise convolution leaves out taps whose weight is 0, and so a NaN that they meet."""
    if spec.groups == spec.x_shape[1] > 4 and (w == 0).any() and np.isnan(x).any():
        missing = np.isnan(x)
        out[...] = RIGHT.conv_out(spec, np.where(missing, 0, x), w)
        out[RIGHT.conv_out(spec, missing.astype(x.dtype), np.abs(w)) > 0] = np.nan


@witness("dx", conv(1, 2, 5, 5, f=3, k=3), calls=10)
@mutant
class TunedAfterTenCalls(Full):
    """After nine backwards of one problem dx takes the path found fastest, which drops a filter."""

    def __init__(self):
        self.seen = {}

    def conv_dx(self, spec, dout, w):
        self.seen[spec] = self.seen.get(spec, 0) + 1
        if self.seen[spec] > 9:
            dout = without(dout, np.s_[:, -1])
        return super().conv_dx(spec, dout, w)
