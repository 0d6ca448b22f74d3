"""Right once, on its own; wrong after another call, beside one, in a thread or a fork.

Also what a call does to its surroundings: inputs changed, memory read beyond its ends. A bug that
in a compiled kernel takes a race of nanoseconds sleeps here for a moment at the same place.
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from conformance_mutants.base import Fused, Taps, Threaded, join, split, weights
from conformance_mutants.registry import mutant


@mutant
class StalePaddedBuffer(Taps):
    """The padded copy is kept by its shape; its border is zeroed only when it is made."""

    def __init__(self):
        self.buffers = {}

    def conv_out(self, spec, x, w):
        from dataclasses import replace

        shape = (*x.shape[:2], *(n + sum(p) for n, p in zip(x.shape[2:], spec.pad, strict=True)))
        padded = self.buffers.setdefault((shape, x.dtype), np.zeros(shape, x.dtype))
        ends = zip(x.shape[2:], spec.pad, strict=True)
        padded[:, :, *(slice(p[0], p[0] + n) for n, p in ends)] = x
        none = replace(spec, x_shape=shape, pad=((0, 0),) * spec.axes)
        return super().conv_out(none, padded, w)


@mutant
class WorkspaceShrinksBadly(Taps):
    """A workspace that has grown keeps its old contents, and all of it is added up."""

    kept = 0.0
    size = 0

    def conv_dw(self, spec, dout, x):
        dw = super().conv_dw(spec, dout, x)
        if dw.size < self.size:
            dw += spec.dtype.type(self.kept)
        else:
            self.size, self.kept = dw.size, float(np.rint(np.nan_to_num(dw.flat[-1]))) or 1.0
        return dw


@mutant
class PlanKeyForgetsDilation(Taps):
    """What was worked out for a problem is kept by its shapes, without stride, pad or dilation."""

    def __init__(self):
        self.plans = {}

    def geometry(self, spec, what):
        if what not in ("out", "dx", "dw"):
            return spec
        key = (what, spec.x_shape, spec.w_shape, spec.out_shape, spec.dtype, spec.groups)
        return self.plans.setdefault(key, spec)


@mutant
class PlanKeyForgetsGroups(Taps):
    """Plans are kept by the shapes of x and out alone."""

    def __init__(self):
        self.plans = {}

    def add_bias(self, spec, out, b):
        factor = self.plans.setdefault((spec.x_shape, spec.out_shape), spec.groups) / spec.groups
        super().add_bias(spec, out, b * spec.dtype.type(factor))


@mutant
class PackedWeightsByIdentity(Taps):
    """Packed weights are kept by the array's identity: an update in place is not seen."""

    def __init__(self):
        self.packed = {}

    def conv_out(self, spec, x, w):
        kept, copy = self.packed.get(w.__array_interface__["data"][0], (None, None))
        if kept is None or kept != (w.shape, w.dtype):
            copy = w.copy()
            self.packed[w.__array_interface__["data"][0]] = ((w.shape, w.dtype), copy)
        return super().conv_out(spec, x, copy)


@mutant
class OutputReused(Taps):
    """The result of the previous call with this shape is overwritten and returned again."""

    def __init__(self):
        self.buffers = {}

    def conv_forward(self, spec, x, w, b):
        out, saved = super().conv_forward(spec, x, w, b)
        kept = self.buffers.setdefault((out.shape, out.dtype), out)
        kept[:] = out
        return kept, saved


@mutant
class DxReused(Taps):
    """dx of the previous call is overwritten and returned again."""

    def __init__(self):
        self.buffers = {}

    def conv_dx(self, spec, dout, w):
        dx = super().conv_dx(spec, dout, w)
        kept = self.buffers.setdefault((dx.shape, dx.dtype), dx)
        kept[:] = dx
        return kept


@mutant
class PoolDxReused(Taps):
    """dx of pooling is returned again."""

    def __init__(self):
        self.buffers = {}

    def pool_backward(self, spec, dout, saved):
        dx = super().pool_backward(spec, dout, saved)
        kept = self.buffers.setdefault((dx.shape, dx.dtype), dx)
        kept[:] = dx
        return kept


@mutant
class DwAccumulates(Taps):
    """dw is added to what the last call with this shape found, as .grad is."""

    def __init__(self):
        self.sums = {}

    def conv_dw(self, spec, dout, x):
        key = (spec, len(x))
        total = self.sums.get(key, 0) + super().conv_dw(spec, dout, x)
        self.sums[key] = total
        return total.copy()


@mutant
class SecondCallWrong(Taps):
    """The second call for a problem takes the tuned path, which drops the last row."""

    def __init__(self):
        self.seen = set()

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec in self.seen:
            out[:, :, -1] = 0
        self.seen.add(spec)
        return out


@mutant
class ManyCallsWrong(Taps):
    """From the 200th call on, a counter wraps around and a filter is lost."""

    calls = 0

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        self.calls += 1
        if self.calls >= 200:
            out[:, -1] = 0
        return out


@mutant
class WinnersOnSelf(Taps):
    """Max pooling keeps the winners on the backend, not in what it saves."""

    latest = None

    def max_out(self, spec, x):
        out, self.latest = super().max_out(spec, x)
        return out, None

    def max_dx(self, spec, dout, saved):
        if self.latest.shape != dout.shape:
            return np.zeros(spec.x_shape, spec.dtype)
        return super().max_dx(spec, dout, self.latest)


@mutant
class InputOnSelf(Taps):
    """Backward uses the x of the latest forward."""

    latest = None

    def conv_forward(self, spec, x, w, b):
        self.latest = x
        return super().conv_forward(spec, x, w, b)

    def conv_dw(self, spec, dout, x):
        same = self.latest is not None and self.latest.shape == x.shape
        return super().conv_dw(spec, dout, self.latest if same else x)


@mutant
class SavedUsedUp(Taps):
    """Backward works in what forward saved: a second backward from one cache is wrong."""

    def max_dx(self, spec, dout, winner):
        dx = super().max_dx(spec, dout, winner)
        winner.fill(0)
        return dx


@mutant
class SavedSharesOutput(Taps):
    """Forward saves out itself, and backward trusts that the caller has not written to it."""

    def conv_forward(self, spec, x, w, b):
        out, _ = super().conv_forward(spec, x, w, b)
        return out, (out, out.copy())

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, None, needs)
        if db is not None and not np.array_equal(*saved, equal_nan=True):
            db[:] = 0
        return dx, dw, db


# --- inputs ---------------------------------------------------------------------------------


class Writing(Taps):
    """What the next mutants share: they write even to read-only memory that they own a view of."""

    @staticmethod
    def writable(array):
        if not array.flags.writeable:
            array = array.copy()
        return array


@mutant
class InputScaledInPlace(Writing):
    """x is normalised where it lies."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        self.writable(x)[...] *= 2
        return out


@mutant
class InputBorderCleared(Writing):
    """Padding is written over the image's first row instead of beside it."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if any(map(any, spec.pad)):
            self.writable(x)[:, :, 0] = 0
        return out


@mutant
class WeightsFlippedInPlace(Writing):
    """The kernel is flipped where it lies, for the backward pass."""

    def conv_dx(self, spec, dout, w):
        dx = super().conv_dx(spec, dout, w)
        own = self.writable(w)
        own[...] = np.flip(own, tuple(range(2, w.ndim))).copy()
        return dx


@mutant
class DoutMaskedInPlace(Writing):
    """dout is used as workspace."""

    def conv_db(self, spec, dout):
        db = super().conv_db(spec, dout)
        self.writable(dout)[...] = 0
        return db


@mutant
class PoolInputModified(Writing):
    """Max pooling marks the pixels it has visited."""

    def max_out(self, spec, x):
        result = super().max_out(spec, x)
        self.writable(x)[...] = -np.inf
        return result


@mutant
class PoolDoutModified(Writing):
    """Average pooling divides dout where it lies."""

    def avg_dx(self, spec, dout):
        dx = super().avg_dx(spec, dout)
        own = self.writable(dout)
        own /= self.divisor(spec)
        return dx


@mutant
class BiasModified(Writing):
    """The bias is folded where it lies."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, b)
        self.writable(b)[...] = 0


@mutant
class WritesReadOnlyInput(Taps):
    """x is changed and changed back: nothing is seen, unless its memory is read-only."""

    def conv_out(self, spec, x, w):
        first = x.flat[0] if x.size else 0
        if x.size:
            x.flat[0] = 0
            x.flat[0] = first
        return super().conv_out(spec, x, w)


def touch(array, before, after):
    """Read bytes beyond an array's ends, as a vector load at its edge does, and drop them."""
    if array.size:
        step = array.itemsize
        flat = np.lib.stride_tricks.as_strided(array.reshape(-1), (array.size + after,), (step,))
        float(flat[-1])
        flat = np.lib.stride_tricks.as_strided(array.reshape(-1), (1 + before,), (-step,))
        float(flat[-1])


@mutant(child=True)
class ReadsBeyondInput(Taps):
    """The last vector load of x reaches beyond its end; the values are not used."""

    def conv_out(self, spec, x, w):
        touch(x, 0, 1)
        return super().conv_out(spec, x, w)


@mutant(child=True)
class ReadsBeforeInput(Taps):
    """The padded row's first load begins before x."""

    def conv_out(self, spec, x, w):
        touch(x, 1, 0)
        return super().conv_out(spec, x, w)


@mutant(child=True)
class ReadsBeyondWeights(Taps):
    """Packing the last filters reads a whole vector of w."""

    def conv_out(self, spec, x, w):
        touch(w, 0, 1)
        return super().conv_out(spec, x, w)


@mutant(child=True)
class ReadsBeyondBias(Taps):
    """The bias is loaded a vector at a time."""

    def add_bias(self, spec, out, b):
        touch(b, 0, 1)
        super().add_bias(spec, out, b)


@mutant(child=True)
class ReadsBeyondDout(Taps):
    """The last vector load of dout reaches beyond its end."""

    def conv_dx(self, spec, dout, w):
        touch(dout, 0, 1)
        return super().conv_dx(spec, dout, w)


@mutant(child=True)
class PoolReadsBeyondInput(Taps):
    """Pooling's last vector load reaches beyond x."""

    def pool_forward(self, spec, x):
        touch(x, 0, 1)
        return super().pool_forward(spec, x)


@mutant(child=True)
class PoolReadsBeyondDout(Taps):
    """Pooling's backward reads beyond dout."""

    def pool_backward(self, spec, dout, saved):
        touch(dout, 0, 1)
        return super().pool_backward(spec, dout, saved)


@mutant
class ForwardUninitialised(Taps):
    """out is allocated, and added to."""

    def conv_out(self, spec, x, w):
        out = np.empty(spec.out_shape, spec.dtype)
        out += super().conv_out(spec, x, w)
        return out


# --- threads and processes -------------------------------------------------------------------


@mutant
class SharedScratch(Taps):
    """x is left in a scratch buffer that every thread uses."""

    scratch = None

    def conv_out(self, spec, x, w):
        self.scratch = x
        out = np.zeros(spec.out_shape, spec.dtype)
        for tap, outs, ins in spec.taps():
            time.sleep(2e-4 * (threading.active_count() > 1))
            if self.scratch.shape != x.shape:
                return out
            place = out[:, :, *outs]
            place += join(
                weights(spec, w, tap) @ split(spec, self.scratch[:, :, *ins]), place.shape
            )
        return out


@mutant
class SharedScratchInPooling(Taps):
    """Max pooling leaves the winners in a shared buffer before it hands them out."""

    scratch = None

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        self.scratch = winner
        time.sleep(1e-3 * (threading.active_count() > 1))
        return out, self.scratch if self.scratch.shape == winner.shape else winner


@mutant
class SharedScratchInBackward(Taps):
    """dw is added up in one buffer for all threads."""

    scratch = None

    def conv_dw(self, spec, dout, x):
        dw = super().conv_dw(spec, dout, x)
        self.scratch = dw
        time.sleep(1e-3 * (threading.active_count() > 1))
        return self.scratch.copy() if self.scratch.shape == dw.shape else dw


@mutant
class AccumulationRace(Threaded):
    """Threads add to dw without a lock: between reading and writing, another may have written."""

    def conv_dw(self, spec, dout, x):
        total = [np.zeros(spec.w_shape, spec.dtype)]

        def task(part):
            before = total[0]
            time.sleep(1e-4 * (self.threads > 1))
            total[0] = before + Taps.conv_dw(self, spec, dout[part], x[part])

        self.run(task, spec)
        return total[0]


@mutant
class ThreadsDropRemainder(Threaded):
    """Each thread takes N // threads images; the remainder is nobody's."""

    def images(self, spec):
        n = spec.x_shape[0]
        share = n // self.threads
        return [slice(t * share, (t + 1) * share) for t in range(self.threads)]


@mutant
class MoreThreadsThanImages(Threaded):
    """With more threads than images, none gets one."""

    def images(self, spec):
        return [] if self.threads > spec.x_shape[0] else super().images(spec)


@mutant
class BitsDependOnThreads(Threaded):
    """dw is added up by thread, so its bits depend on their number; said to be reproducible."""

    def conv_dw(self, spec, dout, x):
        parts = [
            super(Threaded, self).conv_dw(spec, dout[i : i + 1], x[i : i + 1])
            for i in range(len(x))
        ]
        sums = [sum(parts[t :: self.threads]) for t in range(self.threads)]
        total = np.zeros(spec.w_shape, spec.dtype)
        for one in sums:
            total = total + one
        return total


@mutant
class BitsDifferOnRepeat(Taps):
    """Sums are added up in the order threads happen to finish; said to be reproducible."""

    reproducible = True
    calls = 0

    def conv_out(self, spec, x, w):
        self.calls += 1
        taps = list(spec.taps())
        out = np.zeros(spec.out_shape, spec.dtype)
        for tap, outs, ins in taps if self.calls % 2 else taps[::-1]:
            place = out[:, :, *outs]
            place += join(weights(spec, w, tap) @ split(spec, x[:, :, *ins]), place.shape)
        return out


@mutant
class OneThreadOnly(Threaded):
    """set_num_threads(1) divides by the number of helpers."""

    def set_num_threads(self, n):
        super().set_num_threads(n if n > 1 else 1 // (n - 1))


@mutant
class OtherThreadsFail(Taps):
    """A workspace exists in the thread that loaded the backend only."""

    def __init__(self):
        self.local = threading.local()
        self.local.workspace = True

    def conv_out(self, spec, x, w):
        if not hasattr(self.local, "workspace"):
            raise RuntimeError("no workspace")
        return super().conv_out(spec, x, w)


class Forked(Taps):
    """What the next two share: they know the process that loaded them."""

    def __init__(self):
        self.process = os.getpid()


@mutant(child=True)
class HangsAfterFork(Forked):
    """The thread pool's helpers do not live in a forked child; it waits for them."""

    def conv_out(self, spec, x, w):
        if os.getpid() != self.process:
            threading.Event().wait()
        return super().conv_out(spec, x, w)


@mutant(child=True)
class WrongAfterFork(Forked):
    """In a forked child the helpers' share is missing."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if os.getpid() != self.process:
            out[:, -1] = 0
        return out


@mutant
class LocksItselfOut(Fused):
    """A lock that is taken again by the same thread when forward is called while another waits."""

    def __init__(self):
        self.busy = False

    def conv_out(self, spec, x, w):
        if self.busy:
            raise RuntimeError("called while a call is in progress")
        self.busy = True
        try:
            time.sleep(1e-3 * (threading.active_count() > 1))
            return super().conv_out(spec, x, w)
        finally:
            self.busy = False


@mutant
class KeepsATrace(Taps):
    """Every convolution leaves four kilobytes of a trace behind."""

    def __init__(self):
        self.trace = []

    def conv_out(self, spec, x, w):
        self.trace.append(bytearray(4096))
        return super().conv_out(spec, x, w)


@mutant
class SavedInATable(Taps):
    """What pooling saves is the number of a row in a table of the process."""

    def __init__(self):
        self.table = []

    def pool_forward(self, spec, x):
        out, saved = super().pool_forward(spec, x)
        self.table.append(saved)
        return out, len(self.table) - 1

    def pool_backward(self, spec, dout, saved):
        if saved >= len(self.table):
            return np.zeros(spec.x_shape, spec.dtype)
        return super().pool_backward(spec, dout, self.table[saved])
