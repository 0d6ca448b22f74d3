"""Saved state and geometry kept beside the call: in a thread, a process, a global, some slots."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, FullThreaded
from conformance_mutants.fresh.parts import without
from conformance_mutants.fresh.witness import (
    NEEDS,
    array,
    conv,
    fused,
    inputs,
    pool,
    scene,
    together,
)
from conformance_mutants.registry import mutant

CONV = conv(2, 2, 6, 6, f=3, k=3)
MAX = pool("max", 2, 2, 6, 6, k=2)


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


def _fused_in_another_thread(backend):
    """The fused backward on a thread that has seen no forward."""
    pair = fused(CONV, k=2)
    x, w, b = inputs(CONV)
    out, saved = backend.conv_relu_pool_forward(*pair, x, w, b)
    dout = array(out.shape, "f4", 9)
    with ThreadPoolExecutor(1) as other:
        back = backend.conv_relu_pool_backward
        return list(other.submit(back, *pair, dout, x, w, saved, NEEDS).result())


@scene(_fused_in_another_thread)
@mutant
class FusedMaskInThreadLocal(Full):
    """The fused mask stays in the thread that ran forward; another one's backward has none."""

    def __init__(self):
        self.own = threading.local()

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, (off, winner) = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        masks = self.own.masks = getattr(self.own, "masks", [])
        masks.append(off)
        return out, (len(masks) - 1, winner)

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        number, winner = saved
        masks = getattr(self.own, "masks", [])
        known = number < len(masks) and masks[number].shape == conv_spec.out_shape
        off = masks[number] if known else np.zeros(conv_spec.out_shape, bool)
        state = (off, winner)
        return super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, state, needs)


def _conv_in_another_process(backend):
    """The backward of a convolution whose saved state has been pickled."""
    x, w, b = inputs(CONV)
    out, saved = backend.conv_forward(CONV, x, w, b)
    dout = array(out.shape, "f4", 9)
    other, saved = type(backend)(), pickle.loads(pickle.dumps(saved))
    return list(other.conv_backward(CONV, dout, x, w, saved, NEEDS))


@scene(_conv_in_another_process)
@mutant
class TransposedWeightsInTable(Full):
    """Forward keeps w as dx needs it in a table of the process: a pickled cache gives dx = 0."""

    def __init__(self):
        self.kept = {}

    def conv_forward(self, spec, x, w, b):
        out, _ = super().conv_forward(spec, x, w, b)
        self.kept[len(self.kept)] = w.copy()
        return out, len(self.kept) - 1

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, None, needs)
        if dx is not None and saved is not None and saved not in self.kept:
            dx[...] = 0
        return dx, dw, db


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
    specs = [pool("max", 1, 2, 7, 7, k=3, s=2), pool("max", 1, 2, 7, 7, k=2, s=2)]
    return together(backend, "dx", *[(spec,) for spec in specs])


@scene(_pools_concurrently)
@mutant
class PoolBackwardGeometryOnClass(Full):
    """Pool backward leaves kernel and stride in a global while it clears dx."""

    now = None

    def pool_backward(self, spec, dout, saved):
        type(self).now = (spec.kernel, spec.stride)
        time.sleep(0.001)
        kernel, stride = type(self).now
        if len(kernel) == spec.axes:
            spec = replace(spec, kernel=kernel, stride=stride)
        return super().pool_backward(spec, dout, saved)


def _dw_concurrently(backend):
    specs = [conv(1, 2, 7, 7, f=2, k=3, p=1), conv(1, 2, 7, 7, f=2, k=3, d=2, p=2)]
    return together(backend, "dw", *[(spec,) for spec in specs])


@scene(_dw_concurrently)
@mutant
class DwOffsetsInGlobalTable(Full):
    """dw fills a global table of tap offsets, and reads it after a call beside it has, too."""

    offsets = None

    def conv_dw(self, spec, dout, x):
        type(self).offsets = spec
        time.sleep(0.001)
        latest = type(self).offsets
        same = latest.x_shape == spec.x_shape and latest.w_shape == spec.w_shape
        if same and latest.out_shape == spec.out_shape:
            spec = latest
        return super().conv_dw(spec, dout, x)
