"""Convolution and average pooling by scipy.signal.correlate; maxima are not SciPy's business.

Dilation is done by phases - every d-th pixel is an image of its own - and never by filling the
kernel with zeros, which would spread a NaN to windows that do not contain it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from scipy.signal import correlate

from convkit.contract import API_VERSION
from convkit.spec import ConvSpec


def dilated(a, kernel, dilation):
    """Return the valid cross-correlation of a with a kernel whose taps lie ``dilation`` apart."""
    pairs = zip(a.shape, kernel.shape, dilation, strict=True)
    out = np.zeros([n - (k - 1) * d for n, k, d in pairs], a.dtype)
    for phase in itertools.product(*map(range, dilation)):
        part = tuple(slice(p, None, d) for p, d in zip(phase, dilation, strict=True))
        place = out[part]
        if place.size:
            ends = (m + k - 1 for m, k in zip(place.shape, kernel.shape, strict=True))
            piece = a[part][tuple(map(slice, ends))]
            place[:] = correlate(piece, kernel, "valid", method="direct")
    return out


def steps(numbers):
    return tuple(slice(None, None, n) for n in numbers)


class ScipyBackend:
    """Convolution and average pooling in any number of dimensions."""

    name = "scipy"
    api_version = API_VERSION

    def supports(self, spec):
        if spec.operation == "max_pool":
            return "scipy.signal has no maximum that keeps NaN"
        return None

    # --- convolution ---

    def conv_forward(self, spec, x, w, b):
        out = np.zeros(spec.out_shape, spec.dtype)
        x = self.padded(spec, x)
        for n, f, channels in self.pairs(spec):
            # The channels are one more axis, along which there is room for one position.
            found = dilated(x[n, channels], w[f], (1, *spec.dilation))[0][steps(spec.stride)]
            out[n, f] = found[tuple(map(slice, out.shape[2:]))]
            if b is not None:
                out[n, f] += b[f]
        return out, None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx = self.conv_dx(spec, dout, w) if "dx" in needs else None
        dw = self.conv_dw(spec, dout, x) if "dw" in needs else None
        db = dout.sum(axis=(0, *range(2, dout.ndim))) if "db" in needs else None
        return dx, dw, db

    def conv_dx(self, spec, dout, w):
        """A correlation with the flipped kernel, of dout with its pixels ``stride`` apart."""
        dx = np.zeros(spec.x_shape, spec.dtype)
        flipped = np.flip(w, tuple(range(2, w.ndim)))
        windows = zip(spec.window, spec.out_shape[2:], spec.stride, strict=True)
        spread = np.zeros([2 * (k - 1) + (n - 1) * s + 1 for k, n, s in windows], spec.dtype)
        inner = tuple(
            slice(k - 1, k + (n - 1) * s, s)
            for k, n, s in zip(spec.window, spec.out_shape[2:], spec.stride, strict=True)
        )
        for n, f, channels in self.pairs(spec):
            spread[inner] = dout[n, f]
            for c, kernel in zip(range(channels.start, channels.stop), flipped[f], strict=True):
                wide = dilated(spread, kernel, spec.dilation)
                ins, outs = [], []
                for size, have, (begin, _) in zip(dx.shape[2:], wide.shape, spec.pad, strict=True):
                    length = max(0, min(size, have - begin))
                    ins.append(slice(0, length))
                    outs.append(slice(begin, begin + length))
                dx[n, c, *ins] += wide[tuple(outs)]
        return dx

    def conv_dw(self, spec, dout, x):
        """A correlation of x with dout, its taps ``stride`` apart, at every dilation-th place."""
        dw = np.zeros(spec.w_shape, spec.dtype)
        if not len(x):
            return dw
        if not np.isfinite(dout).all():
            return self.dw_without_padding(spec, dout, x)
        wide = self.padded(spec, x)
        for _, f, channels in self.pairs(replace(spec, x_shape=(1, *spec.x_shape[1:]))):
            for i, c in enumerate(range(channels.start, channels.stop)):
                found = dilated(wide[:, c], dout[:, f], (1, *spec.stride))[0]
                dw[f, i] = found[steps(spec.dilation)][tuple(map(slice, spec.kernel))]
        return dw

    def dw_without_padding(self, spec, dout, x):
        """Padding is no term of dw: its zeros must not meet an infinite dout."""
        dw = np.zeros(spec.w_shape, spec.dtype)
        for tap, outs, ins in spec.taps():
            shape = (len(x), spec.groups, -1, math.prod(o.stop - o.start for o in outs))
            if shape[-1]:
                grads, pixels = dout[:, :, *outs].reshape(shape), x[:, :, *ins].reshape(shape)
                total = np.einsum("ngfp,ngcp->gfc", grads, pixels)
                dw[:, :, *tap] = total.reshape(spec.w_shape[:2])
        return dw

    # --- average pooling: a depthwise convolution with ones ---

    def pool_forward(self, spec, x):
        ones = np.ones((spec.x_shape[1], 1, *spec.kernel), spec.dtype)
        out, _ = self.conv_forward(self.depthwise(spec), x, ones, None)
        return out / self.divisor(spec), None

    def pool_backward(self, spec, dout, saved):
        ones = np.ones((spec.x_shape[1], 1, *spec.kernel), spec.dtype)
        return self.conv_dx(self.depthwise(spec), dout / self.divisor(spec), ones)

    @staticmethod
    def depthwise(spec):
        channels = spec.x_shape[1]
        return ConvSpec(
            spec.x_shape, spec.out_shape, spec.kernel, spec.stride, spec.dilation, spec.pad,
            spec.dtype, (channels, 1, *spec.kernel), channels, False,
        )  # fmt: skip

    @staticmethod
    def divisor(spec):
        grid = np.ones(())
        for counts in spec.counts:
            grid = np.multiply.outer(grid, counts)
        return grid.astype(spec.dtype)

    @staticmethod
    def padded(spec, x):
        """x with its padding, and behind it what ceil_mode's last windows overhang."""
        ends = [(0, 0), (0, 0)]
        for axis in range(spec.axes):
            begin = spec.pad[axis][0]
            last = (spec.out_shape[2 + axis] - 1) * spec.stride[axis] + spec.window[axis]
            ends.append((begin, max(0, last - begin - spec.x_shape[2 + axis])))
        return np.pad(x, ends)

    @staticmethod
    def pairs(spec):
        """Every image and filter, with the channels that the filter's group sees."""
        size, filters = spec.w_shape[1], spec.w_shape[0] // spec.groups
        for n, f in itertools.product(range(spec.x_shape[0]), range(spec.w_shape[0])):
            yield n, f, slice(f // filters * size, (f // filters + 1) * size)
