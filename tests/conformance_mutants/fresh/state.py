"""Buffers, saved state and tables that outlive the call, or belong to one thread or process."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, FullThreaded
from conformance_mutants.fresh.parts import FlatIndex, without
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


RIGHT = Full()


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


# --- saved state elsewhere --------------------------------------------------------------------


def pool_round(backend, spec, between):
    """Forward, then what ``between`` makes of backend and saved state, then backward."""
    out, saved = backend.pool_forward(spec, *inputs(spec))
    return between(backend, lambda b, s: b.pool_backward(spec, array(out.shape, "f4", 4), s), saved)


def _in_another_thread(backend):
    def between(backend, backward, saved):
        with ThreadPoolExecutor(1) as other:
            return other.submit(backward, backend, saved).result()

    return pool_round(backend, MAX, between)


@scene(_in_another_thread)
@mutant
class SavedInThreadLocal(Full):
    """What max pooling saves is kept in a table of the thread: in another one dx is 0."""

    def __init__(self):
        self.table = threading.local()

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        self.table.kept = getattr(self.table, "kept", {})
        key = len(self.table.kept)
        self.table.kept[key] = winner
        return out, key

    def max_dx(self, spec, dout, saved):
        winner = getattr(self.table, "kept", {}).get(saved)
        if winner is None or winner.shape != dout.shape:
            return np.zeros(spec.x_shape, spec.dtype)
        return super().max_dx(spec, dout, winner)


def _in_another_process(backend):
    def between(backend, backward, saved):
        return backward(type(backend)(), pickle.loads(pickle.dumps(saved)))

    return pool_round(backend, MAX, between)


@scene(_in_another_process)
@mutant
class SavedInProcessTable(Full):
    """What max pooling saves is a number in a table of the process: a pickled cache finds none."""

    def __init__(self):
        self.kept = {}

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        self.kept[len(self.kept)] = winner
        return out, len(self.kept) - 1

    def max_dx(self, spec, dout, saved):
        winner = self.kept.get(saved)
        if winner is None:
            return np.zeros(spec.x_shape, spec.dtype)
        return super().max_dx(spec, dout, winner)


def _seventeen_open(backend):
    """Seventeen forwards before the first one's backward."""
    pair = fused(CONV, k=2)
    x, w, b = inputs(CONV)
    rounds = [backend.conv_relu_pool_forward(*pair, x + i, w, b) for i in range(17)]
    dout = array(rounds[0][0].shape, "f4", 9)
    return list(backend.conv_relu_pool_backward(*pair, dout, x, w, rounds[0][1], NEEDS))


@scene(_seventeen_open)
@mutant
class FusedSavedInSixteenSlots(Full):
    """The fused pass keeps 16 saved states; with more forwards pending the oldest is replaced."""

    def __init__(self):
        self.slots, self.count = {}, 0

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, saved = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        slot = (self.count % 16, out.shape, conv_spec.out_shape)
        self.count += 1
        self.slots[slot] = saved
        return out, slot

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        state = self.slots[saved]
        return super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, state, needs)


def _fewer_threads_for_backward(backend):
    def between(backend, backward, saved):
        backend.set_num_threads(1)
        return backward(backend, saved)

    backend.set_num_threads(4)
    return pool_round(backend, pool("max", 4, 2, 6, 6, k=2), between)


@scene(_fewer_threads_for_backward)
@mutant
class SavedCutByThreads(FullThreaded):
    """Max pooling saves a part for each thread; backward on fewer threads leaves the rest out."""

    def max_dx(self, spec, dout, saved):
        threads, winner = saved
        if self.threads < threads:
            images = -(-len(winner) // threads) * self.threads
            dout = without(dout, np.s_[images:])
        return super().max_dx(spec, dout, winner)

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return out, (self.threads, winner)


# --- geometry beside the call -----------------------------------------------------------------


def _pools_concurrently(backend):
    specs = [pool("max", 1, 2, 7, 7, k=3, s=2), pool("max", 1, 2, 7, 7, k=2, s=2)] * 4
    with ThreadPoolExecutor(4) as workers:
        return list(workers.map(lambda spec: compute(backend, "dx", spec), specs))


@scene(_pools_concurrently)
@mutant
class PoolBackwardGeometryOnClass(Full):
    """Pool backward leaves kernel and stride in a global while it clears dx."""

    now = None

    def pool_backward(self, spec, dout, saved):
        type(self).now = (spec.kernel, spec.stride)
        time.sleep(0.0005)
        kernel, stride = type(self).now
        if len(kernel) == spec.axes:
            spec = replace(spec, kernel=kernel, stride=stride)
        return super().pool_backward(spec, dout, saved)


def _dw_concurrently(backend):
    specs = [conv(1, 2, 7, 7, f=2, k=3, p=1), conv(1, 2, 7, 7, f=2, k=3, d=2, p=2)] * 4
    with ThreadPoolExecutor(4) as workers:
        return list(workers.map(lambda spec: compute(backend, "dw", spec), specs))


@scene(_dw_concurrently)
@mutant
class DwOffsetsInGlobalTable(Full):
    """dw fills a global table of tap offsets, and reads it after a call beside it has, too."""

    offsets = None

    def conv_dw(self, spec, dout, x):
        type(self).offsets = spec
        time.sleep(0.0005)
        latest = type(self).offsets
        same = latest.x_shape == spec.x_shape and latest.w_shape == spec.w_shape
        if same and latest.out_shape == spec.out_shape:
            spec = latest
        return super().conv_dw(spec, dout, x)


# --- memory and zeros -------------------------------------------------------------------------


@witness("dx", pool("max", 1, 3, 5, 6, k=2, s=1, p=0), calls=1)
@mutant
class SavedIndexReadPastEnd(FlatIndex):
    """Max backward reads saved indices in vectors of 8: in the tail, from what lies behind them."""

    def max_dx(self, spec, dout, index):
        flat = index.reshape(*index.shape[:2], index[0, 0].size if index.size else 0).copy()
        count = flat.shape[-1]
        if count > 16 and count % 8:
            flat[..., -1] = flat[..., 0]
        return super().max_dx(spec, dout, flat.reshape(index.shape))


@witness("dx", fused(conv(3, 2, 9, 9, f=3, k=2, p=1), k=2, s=2))
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
