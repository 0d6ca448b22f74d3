"""The correct backends that every mutant is one bug away from.

They walk over the taps of the kernel with whole-array operations, and are cut into small methods,
the seams at which a mutant puts its bug in. A spec with altered geometry is computed without
complaint (reads outside the image are left out), so a bug in geometry is one changed spec.
They must never be wrong themselves: a test holds them to the whole suite.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from convkit.contract import API_VERSION
from convkit.spec import PAD_MODES


class Taps:
    """Correct; plain NumPy, no optional methods."""

    name = "taps"
    api_version = API_VERSION

    def supports(self, spec):
        return None

    def geometry(self, spec, what):
        """The spec as it is read for ``what``: out, dx, dw, pool or pool_dx."""
        return spec

    # --- convolution ---

    def conv_forward(self, spec, x, w, b):
        out = self.conv_out(self.geometry(spec, "out"), x, w)
        if b is not None:
            self.add_bias(spec, out, b)
        return out, None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx = self.conv_dx(self.geometry(spec, "dx"), dout, w) if "dx" in needs else None
        dw = self.conv_dw(self.geometry(spec, "dw"), dout, x) if "dw" in needs else None
        db = self.conv_db(spec, dout) if "db" in needs else None
        return dx, dw, db

    def conv_out(self, spec, x, w):
        out = np.zeros(spec.out_shape, spec.dtype)
        for tap, outs, ins in taps(spec):
            place = out[:, :, *outs]
            place += join(weights(spec, w, tap) @ split(spec, x[:, :, *ins]), place.shape)
        return out

    def add_bias(self, spec, out, b):
        out += b.reshape(-1, *(1,) * spec.axes)

    def conv_dx(self, spec, dout, w):
        dx = np.zeros(spec.x_shape, spec.dtype)
        for tap, outs, ins in taps(spec):
            place = dx[:, :, *ins]
            place += join(
                weights(spec, w, tap).swapaxes(1, 2) @ split(spec, dout[:, :, *outs]), place.shape
            )
        return dx

    def conv_dw(self, spec, dout, x):
        dw = np.zeros(spec.w_shape, spec.dtype)
        for tap, outs, ins in taps(spec):
            grads, pixels = split(spec, dout[:, :, *outs]), split(spec, x[:, :, *ins])
            total = (grads @ pixels.swapaxes(2, 3)).sum(axis=0)
            dw[:, :, *tap] = total.reshape(spec.w_shape[:2])
        return dw

    def conv_db(self, spec, dout):
        return dout.sum(axis=tuple(range(2, dout.ndim))).sum(axis=0)

    # --- pooling ---

    def pool_forward(self, spec, x):
        spec = self.geometry(spec, "pool")
        return self.max_out(spec, x) if spec.kind == "max" else (self.avg_out(spec, x), None)

    def pool_backward(self, spec, dout, saved):
        spec = self.geometry(spec, "pool_dx")
        return self.max_dx(spec, dout, saved) if spec.kind == "max" else self.avg_dx(spec, dout)

    start = -np.inf

    def max_out(self, spec, x):
        """The maximum, and as saved the tap it came from."""
        out = np.full(spec.out_shape, self.start, spec.dtype)
        winner = np.full(spec.out_shape, -1)
        for i, (_, outs, ins) in enumerate(taps(spec)):
            value, best, from_tap = x[:, :, *ins], out[:, :, *outs], winner[:, :, *outs]
            better = self.better(value, best, from_tap)
            np.copyto(best, value, where=better)
            np.copyto(from_tap, i, where=better)
        return out, winner

    def better(self, value, best, from_tap):
        """Where a value replaces the best so far, which came from ``from_tap`` (-1: none)."""
        return (from_tap < 0) | ((best == best) & ~(value <= best))

    def max_dx(self, spec, dout, winner):
        dx = np.zeros(spec.x_shape, spec.dtype)
        for i, (_, outs, ins) in enumerate(taps(spec)):
            dx[:, :, *ins] += np.where(winner[:, :, *outs] == i, dout[:, :, *outs], 0)
        return dx

    def avg_out(self, spec, x):
        out = np.zeros(spec.out_shape, spec.dtype)
        for _, outs, ins in taps(spec):
            out[:, :, *outs] += x[:, :, *ins]
        out /= self.divisor(spec)
        return out

    def avg_dx(self, spec, dout):
        dx = np.zeros(spec.x_shape, spec.dtype)
        share = dout / self.divisor(spec)
        for _, outs, ins in taps(spec):
            dx[:, :, *ins] += share[:, :, *outs]
        return dx

    def divisor(self, spec):
        """How many pixels each window counts, shaped to divide an output."""
        return outer(spec.counts).astype(spec.dtype)


class Fused(Taps):
    """Correct; with one pass for conv - relu - max pool."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        z, _ = self.conv_forward(conv_spec, x, w, b)
        off = self.off(z)
        out, winner = self.pool_forward(pool_spec, self.relu(z))
        return out, (off, winner)

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        off, winner = saved
        dz = self.mask(self.pool_backward(pool_spec, dout, winner), off)
        return self.conv_backward(conv_spec, dz, x, w, None, needs)

    def relu(self, z):
        return np.maximum(z, 0)

    def off(self, z):
        return ~(z > 0)

    def mask(self, dz, off):
        dz[off] = 0
        return dz


class Inference(Taps):
    """Correct; with the methods that keep nothing for backward."""

    def conv_infer(self, spec, x, w, b):
        return self.conv_forward(spec, x, w, b)[0]

    def pool_infer(self, spec, x):
        return self.pool_forward(spec, x)[0]


class Full(Fused, Inference):
    """Correct; with every optional method for computing."""


class CopyingPadding(Full):
    """Correct; pads by itself in every mode, and folds dx back."""

    pad_modes = PAD_MODES

    def conv_out(self, spec, x, w):
        if spec.pad_mode == "zeros":
            return super().conv_out(spec, x, w)
        return super().conv_out(spec.padded, self.grow(spec, x, "out"), w)

    def conv_dx(self, spec, dout, w):
        if spec.pad_mode == "zeros":
            return super().conv_dx(spec, dout, w)
        return self.fold(spec, super().conv_dx(spec.padded, dout, w))

    def conv_dw(self, spec, dout, x):
        if spec.pad_mode == "zeros":
            return super().conv_dw(spec, dout, x)
        return super().conv_dw(spec.padded, dout, self.grow(spec, x, "dw"))

    def table(self, spec, axis, what):
        """The pixel that each place of a padded axis copies for out, dx or dw; -1 for zero."""
        return np.array(spec.sources[axis])

    def grow(self, spec, x, what):
        for axis in range(spec.axes):
            table = self.table(spec, axis, what)
            x = np.moveaxis(x.take(table, axis=2 + axis), 2 + axis, 0)
            x[table < 0] = 0
            x = np.ascontiguousarray(np.moveaxis(x, 0, 2 + axis))
        return x

    def fold(self, spec, grown):
        for axis in range(spec.axes):
            table, planes = self.table(spec, axis, "dx"), np.moveaxis(grown, 2 + axis, 0)
            folded = np.zeros((spec.x_shape[2 + axis], *planes.shape[1:]), grown.dtype)
            self.add(folded, table[table >= 0], planes[table >= 0])
            grown = np.moveaxis(folded, 0, 2 + axis)
        return np.ascontiguousarray(grown)

    def add(self, folded, table, grown):
        """Add each place to its pixel."""
        np.add.at(folded, table, grown)


class Threaded(Taps):
    """Correct; cuts the batch by image, so that the bits do not depend on the thread count."""

    reproducible = True

    def __init__(self):
        self.threads = 1

    def set_num_threads(self, n):
        self.threads = n

    def images(self, spec):
        """The slices of the batch, one task each."""
        return [slice(i, i + 1) for i in range(spec.x_shape[0])]

    def run(self, task, spec):
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(task, self.images(spec)))

    def conv_forward(self, spec, x, w, b):
        out = np.zeros(spec.out_shape, spec.dtype)

        def task(part):
            for tap, outs, ins in taps(spec):
                place = out[part][:, :, *outs]
                place += join(weights(spec, w, tap) @ split(spec, x[part][:, :, *ins]), place.shape)

        self.run(task, spec)
        if b is not None:
            self.add_bias(spec, out, b)
        return out, None

    def conv_dw(self, spec, dout, x):
        dw = np.zeros(spec.w_shape, spec.dtype)
        for part in self.run(lambda p: Taps.conv_dw(self, spec, dout[p], x[p]), spec):
            dw += part
        return dw


class FullThreaded(Threaded, Full):
    """Correct; with every optional method, and threads."""


@lru_cache(maxsize=4096)
def taps(spec):
    """What spec.taps() gives, kept: hundreds of mutants ask for the same problems."""
    return tuple(spec.taps())


def split(spec, array):
    """(N, G * K, ...) as (N, G, K, pixels)."""
    groups = spec.groups
    return array.reshape(len(array), groups, array.shape[1] // groups, math.prod(array.shape[2:]))


def join(array, shape):
    """(N, G, K, pixels) as (N, G * K, ...)."""
    return array.reshape(shape)


def weights(spec, w, tap):
    """One tap of w as (G, F / G, C / G)."""
    return w[:, :, *tap].reshape(spec.groups, -1, spec.w_shape[1])


def outer(counts):
    """One row of counts per axis, multiplied to a grid."""
    grid = np.ones(())
    for row in counts:
        grid = np.multiply.outer(grid, np.array(row))
    return grid
