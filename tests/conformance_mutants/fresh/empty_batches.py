"""Batches without an image, in the paths that are rarely given one."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import Full, FullThreaded
from conformance_mutants.fresh.parts import shaped
from conformance_mutants.fresh.witness import compute, conv, fused, pool, scene
from conformance_mutants.registry import mutant, result


def empty(path, *specs, threads=None):
    """A scene: what a backend returns for an empty batch, or the error it raises."""

    def look(backend):
        if threads:
            backend.set_num_threads(threads)
        try:
            found = compute(backend, path, *specs)
        except Exception as error:
            return [type(error).__name__]
        return [np.array(found.shape), found]

    return look


@scene(empty("infer", conv(0, 3, 4, 4, f=2, k=1)))
@mutant
class EmptyInferOfPoint(Full):
    """conv_infer of 1x1 on an empty batch: reshape(N, -1) cannot know the other size."""

    def conv_infer(self, spec, x, w, b):
        if set(spec.kernel) == {1} and spec.groups == 1:
            x.reshape(len(x), -1)
        return super().conv_infer(spec, x, w, b)


@scene(empty("infer", pool("avg", 0, 3, 4, 4, k=4)))
@result("pool_infer", Full)
def empty_infer_of_global_average(spec, out, x):
    """pool_infer of a whole image's average on an empty batch returns one image of NaN."""
    if spec.kernel == spec.x_shape[2:] and spec.kind == "avg" and not len(x):
        return np.full((1, *out.shape[1:]), np.nan, out.dtype)
    return None


@scene(empty("dw", conv(0, 4, 5, 5, f=4, g=2, k=3)))
@result("conv_dw", Full)
def empty_dw_of_groups(spec, dw, dout, x):
    """dw of a grouped convolution on an empty batch is not cleared."""
    if spec.groups > 1 and not len(x):
        dw[...] = 1


@scene(empty("db", conv(0, 2, 9, f=3, k=3)))
@result("conv_db", Full)
def empty_db_of_signal(spec, db, dout):
    """db on one axis of an empty batch is the mean over no sample: NaN."""
    if spec.axes == 1 and not len(dout):
        db[...] = np.nan


@scene(empty("dw", *fused(conv(0, 2, 6, 6, f=2, k=3, p=1), k=2)))
@mutant
class EmptyFusedBackward(Full):
    """The fused backward of an empty batch returns dw with an axis of no filters."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        found = super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)
        if not len(x) and found[1] is not None:
            return found[0], found[1][:0], found[2]
        return found


@scene(empty("forward", conv(0, 3, 4, 4, 4, f=2, k=1)))
@mutant
class EmptyVolume(Full):
    """1x1x1 on three axes finds its block size by dividing by the number of images."""

    def conv_out(self, spec, x, w):
        if spec.kernel == (1, 1, 1):
            assert 64 // len(x) >= 0
        return super().conv_out(spec, x, w)


@scene(empty("dx", conv(0, 8, 6, 6, f=8, g=8, k=3, s=2, p=1)))
@mutant
class EmptyDepthwiseDx(Full):
    """dx of depthwise 3x3/2 on an empty batch is one image of zeros."""

    def conv_dx(self, spec, dout, w):
        if shaped(spec, 3, 2) and spec.groups > 1 and not len(dout):
            return np.zeros((1, *spec.x_shape[1:]), spec.dtype)
        return super().conv_dx(spec, dout, w)


@scene(empty("forward", conv(0, 2, 4, 4, f=2, k=3), threads=4))
@mutant
class EmptyOnThreads(FullThreaded):
    """An empty batch on more than one thread: the work is cut into parts of 0 images."""

    def images(self, spec):
        if self.threads > 1 and not spec.x_shape[0]:
            return list(range(0, spec.x_shape[0], min(self.threads, spec.x_shape[0])))
        return super().images(spec)


@scene(empty("dx", pool("max", 0, 2, 9, 9, k=3, s=2, p=1)))
@mutant
class EmptyMaxOverlapping(Full):
    """Max 3x3/2 on an empty batch: backward takes the largest saved index, of none."""

    def max_dx(self, spec, dout, winner):
        if shaped(spec, 3, 2):
            assert winner.max() < 9
        return super().max_dx(spec, dout, winner)
