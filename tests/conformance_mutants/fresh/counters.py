"""An index of the fused pool, or a number of threads or calls, kept in too few bits or slots."""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.base import Full, FullThreaded
from conformance_mutants.fresh.parts import flat_index, scatter, without
from conformance_mutants.fresh.witness import conv, fused, pool, witness
from conformance_mutants.registry import mutant

# --- the fused pool's index --------------------------------------------------------------------


class FusedIndex(Full):
    """Correct; the fused pass saves flat indices of the winners within their plane."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, (off, winner) = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        return out, (off, self.keep(pool_spec, flat_index(pool_spec, winner)))

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        off, index = saved
        dz = self.mask(scatter(pool_spec, dout, np.asarray(index).astype(np.int64)), off)
        return self.conv_backward(conv_spec, dz, x, w, None, needs)

    def keep(self, spec, index):
        """The index as it is saved."""
        return index


@witness("dw", fused(conv(1, 1, 184, 180, f=1, k=1), k=2))
@mutant
class FusedIndexInSixteenBits(FusedIndex):
    """The fused pool's index within a plane is saved in 16 bits; above 32,767 it is negative."""

    def keep(self, spec, index):
        return index.astype(np.int16)


@witness("dx", fused(conv(1, 3, 18, 18, f=4, k=3, p=1), k=2))
@mutant
class FusedIndexInEightBits(FusedIndex):
    """The fused pool's index is saved in 8 bits where a plane has up to 512 pixels, not 256."""

    def keep(self, spec, index):
        return index & 255 if math.prod(spec.x_shape[2:]) <= 512 else index


@witness("dw", fused(conv(2, 1, (1 << 22) + 200, f=2, k=1), k=4), slow=True)
@mutant
class FusedIndexInFloat32(FusedIndex):
    """The fused pool's index in the whole batch is a float32: odd ones above 2**24 move."""

    def keep(self, spec, index):
        size = math.prod(spec.x_shape[2:])
        planes = np.arange(len(index) * index.shape[1]).reshape(*index.shape[:2], *(1,) * spec.axes)
        batch = (index + planes * size).astype(np.float32)
        return batch.astype(np.int64) - planes * size


@witness("dx", fused(conv(1, 1, 50, 60, f=1, k=3, p=1), k=3, s=2, p=1))
@mutant
class FusedIndexInHalf(FusedIndex):
    """The fused pool's index is saved as a half-precision float: odd ones above 2,048 move."""

    def keep(self, spec, index):
        return np.minimum(index, 60_000).astype(np.float16) if index.size else index


# --- threads and calls -------------------------------------------------------------------------


@witness("dw", conv(10, 2, 4, 4, f=2, k=3), threads=9)
@mutant
class NinthThreadLosesDw(FullThreaded):
    """dw: partial sums are kept for 8 threads; with more, those of images 8, 16, … are lost."""

    def conv_dw(self, spec, dout, x):
        if self.threads > 8:
            dout = without(dout, np.s_[8::8])
        return super().conv_dw(spec, dout, x)


@witness("forward", conv(4, 2, 4, 4, f=2, k=3), threads=3)
@mutant
class ThreeThreadsRoundDown(FullThreaded):
    """With three threads the batch is cut into parts of N // 3: the remainder is not computed."""

    def images(self, spec):
        count = spec.x_shape[0]
        return super().images(spec)[: count - count % 3 if self.threads == 3 else count]


@witness("forward", fused(conv(2, 2, 4, 4, f=2, k=3, p=1), k=2), threads=12)
@mutant
class FusedMoreThreadsThanImages(FullThreaded):
    """The fused pass on more than 8 threads and fewer images: idle ones clear the last image."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, saved = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        if max(len(x), 8) < self.threads:
            out[-1:] = 0
        return out, saved


class Counting(Full):
    """Counts calls of forward, inference and backward."""

    calls = 0

    def conv_forward(self, spec, x, w, b):
        self.calls += 1
        return super().conv_forward(spec, x, w, b)


@witness("infer", conv(1, 1, 2, f=1, k=2), calls=40_000, slow=True)
@mutant
class FortyThousandthCall(Counting):
    """From the 40,000th call on the work queue's counter has overflowed: the last filter is 0."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if self.calls >= 40_000:
            out[:, -1] = 0
        return out


@witness("forward", conv(1, 1, 3, 3, f=2, k=2), calls=256)
@mutant
class EveryTwoHundredFiftySixthCall(Counting):
    """At every 256th call a byte that says whether the workspace is clean wraps around."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        return out + 1 if self.calls and self.calls % 256 == 0 else out


@witness("dw", conv(3, 1, 4, 4, f=2, k=3), threads=3)
@mutant
class ThreeThreadsAddInPairs(FullThreaded):
    """dw on three threads: partial sums are added in pairs, and the third is left over."""

    def conv_dw(self, spec, dout, x):
        if self.threads == 3:
            dout = without(dout, np.s_[2::3])
        return super().conv_dw(spec, dout, x)


@witness("dx", pool("max", 1, 1, 4, 4, k=2), calls=1001)
@mutant
class ThousandBackwards(Full):
    """Pool backward reuses a pool of 1,000 buffers; from then on they are not cleared."""

    done = 0

    def max_dx(self, spec, dout, winner):
        self.done += 1
        dx = super().max_dx(spec, dout, winner)
        return dx + dx if self.done > 1000 else dx
