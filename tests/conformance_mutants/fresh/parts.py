"""What mutants in specialised paths share: when such a path is taken, and partial results.

A path of a real kernel is taken for one geometry and is cut into blocks. The conditions are named
here; a mutant adds the block beyond or below which its path is wrong. Wrong parts of a result are
computed by the correct backend from inputs of which a part is left out, or from a misread spec.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, taps

RIGHT = Full()


# --- when a path is taken ---------------------------------------------------------------------


def shaped(spec, kernel, stride=1):
    """Whether a 2-D problem has this square kernel and stride, without dilation."""
    return (
        spec.kernel == (kernel, kernel)
        and spec.stride == (stride, stride)
        and spec.dilation == (1, 1)
    )


def dense(spec, kernel, stride=1):
    """The same for a convolution without groups."""
    return shaped(spec, kernel, stride) and spec.groups == 1


def depthwise(spec, kernel, stride=1):
    """The same for a convolution with one channel in each group."""
    return shaped(spec, kernel, stride) and spec.groups == spec.x_shape[1] > 1


def pads(spec, begin, end=None):
    """Whether every axis is padded by this."""
    return set(spec.pad) == {(begin, begin if end is None else end)}


def ragged(size, block, above=0):
    """Whether a size above a limit leaves an incomplete block."""
    return size > above and size % block != 0


def tail(size, block):
    """The incomplete block at the end."""
    return slice(size - size % block, size)


# --- partial results --------------------------------------------------------------------------


def without(array, index):
    """A copy of which a part is zero."""
    array = array.copy()
    array[index] = 0
    return array


def only(array, index):
    """A copy of which all but a part is zero."""
    part = np.zeros_like(array)
    part[index] = array[index]
    return part


def flat(array):
    """A view of an array whose spatial axes are one."""
    return array.reshape(*array.shape[:2], math.prod(array.shape[2:]))


def forward(spec, x, w, **changes):
    """out without bias, by a spec of which these fields are misread."""
    return RIGHT.conv_out(replace(spec, **changes), x, w)


def input_gradient(spec, dout, w, **changes):
    """dx by a misread spec."""
    return RIGHT.conv_dx(replace(spec, **changes), dout, w)


def weight_gradient(spec, dout, x, **changes):
    """dw by a misread spec."""
    return RIGHT.conv_dw(replace(spec, **changes), dout, x)


def shifted_pad(spec, axis, by):
    """The padding, with ``by`` pixels of one axis moved from its end to its beginning."""
    pad = list(spec.pad)
    pad[axis] = (pad[axis][0] + by, pad[axis][1] - by)
    return tuple(pad)


def bleeding(spec, x):
    """The problem read without row ends: what pads a row's end is the next row's beginning."""
    end = min(spec.pad[-1][1], x.shape[-1])
    following = np.zeros((*x.shape[:-1], end), x.dtype)
    following[..., :-1, :] = x[..., 1:, :end]
    wide = np.concatenate([x, following], axis=-1)
    pad = (*spec.pad[:-1], (spec.pad[-1][0], spec.pad[-1][1] - end))
    return replace(spec, x_shape=wide.shape, pad=pad), wide


def max_dx_assigning(spec, dout, winner):
    """dx of max pooling where overlapping windows do not add up: the last tap's gradient stays."""
    dx = np.zeros(spec.x_shape, spec.dtype)
    for i, (_, outs, ins) in enumerate(taps(spec)):
        np.copyto(dx[:, :, *ins], dout[:, :, *outs], where=winner[:, :, *outs] == i)
    return dx


# --- max pooling by flat index ----------------------------------------------------------------


class FlatIndex(Full):
    """Correct; max pooling saves the flat index of each winner within its plane."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return out, self.keep(spec, flat_index(spec, winner))

    def max_dx(self, spec, dout, index):
        return scatter(spec, dout, np.asarray(index).astype(np.int64))

    def keep(self, spec, index):
        """The index as it is saved."""
        return index


def flat_index(spec, winner):
    """Where in its plane each winning tap lies."""
    sizes = spec.x_shape[2:]
    index = np.zeros(winner.shape, np.int64)
    for i, (tap, outs, ins) in enumerate(taps(spec)):
        del tap
        lengths = [range(n)[part] for n, part in zip(sizes, ins, strict=True)]
        if not all(lengths):
            continue
        places = np.ravel_multi_index(np.ix_(*map(np.array, lengths)), sizes)
        place = index[:, :, *outs]
        np.copyto(place, np.broadcast_to(places, place.shape), where=winner[:, :, *outs] == i)
    return index


def scatter(spec, dout, index):
    """dx of which every winner has its gradient added; an index outside the plane is lost."""
    planes = dout.shape[0] * dout.shape[1]
    size = int(np.prod(spec.x_shape[2:]))
    index = index.reshape(planes, math.prod(dout.shape[2:]))
    inside = (index >= 0) & (index < size)
    rows = np.arange(planes)[:, None] * size + index
    dx = np.zeros(planes * size, spec.dtype)
    np.add.at(dx, rows[inside], dout.reshape(index.shape)[inside])
    return dx.reshape(spec.x_shape)
