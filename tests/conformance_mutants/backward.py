"""Only the gradients of a convolution are wrong; forward passes every test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Taps, join, split, weights
from conformance_mutants.registry import geometry, mutant, result


@geometry("dx")
def dx_ignores_dilation(spec):
    """dx is spread over neighbours, whatever the dilation."""
    return replace(spec, dilation=(1,) * spec.axes)


@geometry("dx")
def dx_swaps_strides(spec):
    """dx exchanges the strides of the axes."""
    return replace(spec, stride=spec.stride[::-1])


@geometry("dx")
def dx_swaps_pad_begin_and_end(spec):
    """dx, a convolution with the flipped kernel, flips the padding too."""
    return replace(spec, pad=tuple((end, begin) for begin, end in spec.pad))


@geometry("dw")
def dw_ignores_end_of_dilation(spec):
    """dw uses the last axis' dilation for every axis."""
    return replace(spec, dilation=spec.dilation[-1:] * spec.axes)


@geometry("dw")
def dw_swaps_strides(spec):
    """dw exchanges the strides of the axes."""
    return replace(spec, stride=spec.stride[::-1])


@geometry("dw")
def dw_loses_pad(spec):
    """dw is computed on the image without its padding."""
    return replace(spec, pad=((0, 0),) * spec.axes)


@geometry("dx")
def dx_1x1_ignores_stride(spec):
    """dx of a strided 1x1 convolution is written densely."""
    return replace(spec, stride=(1,) * spec.axes) if set(spec.kernel) == {1} else spec


@mutant
class DxKernelFlipped(Taps):
    """dx meets the kernel the other way round: right for symmetric kernels only."""

    def conv_dx(self, spec, dout, w):
        return super().conv_dx(spec, dout, np.flip(w, tuple(range(2, w.ndim))))


def covered(spec):
    """Which pixels of the image any window looks at."""
    seen = np.zeros(spec.x_shape, bool)
    for _, _, ins in spec.taps():
        seen[:, :, *ins] = True
    return seen


@result("conv_dx")
def dx_leftover_rows_uninitialised(spec, dx, dout, w):
    """Rows and columns that no window reaches are allocated and never set."""
    fresh = np.empty_like(dx)
    return np.where(covered(spec), dx, fresh)


@result("conv_dx")
def dx_leftover_rows_hold_garbage(spec, dx, dout, w):
    """As before, with memory that happens to hold ones."""
    dx[~covered(spec)] = 1


@mutant
class DxLeftoverRowsOfReusedBuffer(Taps):
    """dx is copied from a workspace that is set to zero only where windows lie."""

    workspace = None

    def conv_dx(self, spec, dout, w):
        dx = super().conv_dx(spec, dout, w)
        if self.workspace is None or self.workspace.size < dx.size:
            self.workspace = np.zeros(dx.size)
        used = self.workspace[: dx.size].reshape(dx.shape)
        np.copyto(used, dx, where=covered(spec))
        dx[:] = used
        used += 1
        return dx


class Assigning(Taps):
    """The bug of the next three: what should be added up is assigned."""

    def conv_dx(self, spec, dout, w):
        dx = np.zeros(spec.x_shape, spec.dtype)
        for tap, outs, ins in spec.taps():
            part = weights(spec, w, tap).swapaxes(1, 2) @ split(spec, dout[:, :, *outs])
            place = dx[:, :, *ins]
            self.put(spec, place, join(part, place.shape))
        return dx

    def put(self, spec, place, part):
        raise NotImplementedError


@mutant
class DxAssignsOnOverlap(Assigning):
    """dx is assigned, not added to: right where windows do not overlap."""

    def put(self, spec, place, part):
        place[:] = part


@mutant
class DxAssignsWithGroups(Assigning):
    """With groups, dx is assigned tap by tap, as if each group met a pixel once."""

    def put(self, spec, place, part):
        if spec.groups > 1:
            place[:] = part
        else:
            place += part


@mutant
class DxAssignsWhereDilated(Assigning):
    """Dilated taps are taken not to overlap."""

    def put(self, spec, place, part):
        if max(spec.dilation) > 1:
            place[:] = part
        else:
            place += part


@mutant
class DxLastFilterOfGroup(Taps):
    """dx is assigned in the loop over a group's filters: the last one's share stays."""

    def conv_dx(self, spec, dout, w):
        if spec.groups > 1:
            per_group = len(w) // spec.groups
            dout = dout.copy()
            dout[:, np.arange(len(w)) % per_group != per_group - 1] = 0
        return super().conv_dx(spec, dout, w)


@mutant
class DwLastImage(Taps):
    """dw is assigned in the loop over images: the last one's stays."""

    def conv_dw(self, spec, dout, x):
        return super().conv_dw(spec, dout[-1:], x[-1:])


@mutant
class DwLastRow(Taps):
    """dw is assigned in the loop over rows of out: the last one's stays."""

    def conv_dw(self, spec, dout, x):
        last = np.zeros_like(dout)
        last[:, :, -1] = dout[:, :, -1]
        return super().conv_dw(spec, last, x)


@result("conv_dw")
def dw_mean_over_batch(spec, dw, dout, x):
    """The gradient is divided by the batch size, which is the loss's business."""
    dw /= max(len(x), 1)


@result("conv_db")
def db_mean_over_pixels(spec, db, dout):
    """db is averaged over the pixels."""
    db /= max(dout[0, 0].size if len(dout) else 1, 1)


@mutant
class DbOfFirstImage(Taps):
    """db misses the sum over the batch."""

    def conv_db(self, spec, dout):
        return super().conv_db(spec, dout[:1])


@mutant
class DwGroupsOffByOne(Taps):
    """dw pairs each group's gradients with the next one's channels."""

    def conv_dw(self, spec, dout, x):
        shift = spec.w_shape[1] * (spec.groups > 1)
        return super().conv_dw(spec, dout, np.roll(x, -shift, axis=1))


@mutant
class DxGroupsReversed(Taps):
    """dx walks over the groups backwards, but writes forwards."""

    def conv_dx(self, spec, dout, w):
        dx = super().conv_dx(spec, dout, w)
        by_group = dx.reshape(len(dx), spec.groups, -1)
        return np.ascontiguousarray(by_group[:, ::-1]).reshape(dx.shape)


@mutant
class DwOfDepthwiseTransposed(Taps):
    """dw of a depthwise convolution with a square kernel is stored with its axes exchanged."""

    def conv_dw(self, spec, dout, x):
        dw = super().conv_dw(spec, dout, x)
        square = len(set(spec.kernel)) == 1
        if square and spec.groups == x.shape[1] > 1:
            dw = np.ascontiguousarray(np.moveaxis(dw, -1, 2))
        return dw


@mutant
class DbOnlyWithDw(Taps):
    """db falls out of the product for dw; when dw is not wanted, it stays zero."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if db is not None and dw is None:
            db[:] = 0
        return dx, dw, db


@mutant
class DxOnlyWithDw(Taps):
    """dx uses a workspace that the pass for dw fills."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if dx is not None and dw is None:
            dx *= 2
        return dx, dw, db


@mutant
class DwOnlyWithDx(Taps):
    """dw alone is computed from the forward pass's leftovers."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if dw is not None and dx is None:
            dw = np.ascontiguousarray(dw[::-1])
        return dx, dw, db


@mutant
class NeedsReadByLength(Taps):
    """One gradient wanted is taken to mean dx; the others are not computed."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        if len(needs) == 1:
            needs = ("dx",)
        return super().conv_backward(spec, dout, x, w, saved, needs)


@mutant
class NeedsGivenInOrder(Taps):
    """What is wanted is returned first, not in its place."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        found = super().conv_backward(spec, dout, x, w, saved, needs)
        wanted = [g for g in found if g is not None]
        return (*wanted, *(None,) * (3 - len(wanted)))


@mutant
class DxWrongWithoutBias(Taps):
    """needs without db is counted from the end: dw is doubled when there is no bias."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if not spec.has_bias and dw is not None:
            dw *= 2
        return dx, dw, db


@mutant
class DxSkipsZeroWeights(Taps):
    """dx of the pixels under the kernel's last column is lost with stride > kernel."""

    def conv_dx(self, spec, dout, w):
        if spec.stride[-1] > spec.kernel[-1] > 1:
            w = w.copy()
            w[..., -1] = 0
        return super().conv_dx(spec, dout, w)
