"""The fft backend: convolutions as products of Fourier transforms, pooling tap by tap.

A correlation of x with w is irfft(rfft(x) * conj(rfft(w))); the strided one is every stride-th of
its values. It pays for large kernels: its cost does not depend on their size. Transforms mix all
pixels, so results carry the rounding of the largest ones (``exact = False``), and a NaN would reach
everything: inputs that are not finite take the way of the taps.
Source: Mathieu, Henaff and LeCun, "Fast Training of Convolutional Networks through FFTs",
arXiv:1312.5851.
"""

import math

import numpy as np
from scipy import fft

from convkit.contract import API_VERSION, hookimpl


class FftBackend:
    """Fourier transforms for convolution."""

    name = "fft"
    api_version = API_VERSION
    exact = False
    error_factor = 8

    def supports(self, spec):
        """None where this backend solves the problem, else the reason in one sentence."""
        return

    def conv_forward(self, spec, x, w, b):
        """Return out, and whatever conv_backward should get back as ``saved``."""
        if not (np.isfinite(x).all() and np.isfinite(w).all()):
            return self._taps_forward(spec, x, w, b)
        size, axes = self._transform(spec)
        image = self._by_group(spec, fft.rfftn(self._padded(spec, x), size, axes), axis=1)
        kernel = self._by_group(spec, fft.rfftn(self._dilated(spec, w), size, axes), axis=0)
        product = np.einsum("ngc...,gfc...->ngf...", image, kernel.conj())
        product = product.reshape(len(x), len(w), *product.shape[3:])
        whole = fft.irfftn(product, size, axes)
        out = np.ascontiguousarray(whole[:, :, *self._strided(spec)], spec.dtype)
        if b is not None:
            out += b.reshape(-1, *(1,) * spec.axes)
        return out, None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        """Return (dx, dw, db); what ``needs`` does not name may be None."""
        if not all(np.isfinite(a).all() for a in (dout, x, w)):
            return self._taps_backward(spec, dout, x, w, saved, needs)
        size, axes = self._transform(spec)
        spread = np.zeros((*dout.shape[:2], *size), spec.dtype)
        spread[:, :, *self._strided(spec)] = dout
        grads = self._by_group(spec, fft.rfftn(spread, size, axes), axis=1)
        dx = dw = db = None
        if "dx" in needs:
            kernel = self._by_group(spec, fft.rfftn(self._dilated(spec, w), size, axes), axis=0)
            product = np.einsum("ngf...,gfc...->ngc...", grads, kernel)
            product = product.reshape(*x.shape[:2], *product.shape[3:])
            inner = [slice(b, b + n) for (b, _), n in zip(spec.pad, x.shape[2:], strict=True)]
            whole = fft.irfftn(product, size, axes)
            dx = np.ascontiguousarray(whole[:, :, *inner], spec.dtype)
        if "dw" in needs:
            image = self._by_group(spec, fft.rfftn(self._padded(spec, x), size, axes), axis=1)
            product = np.einsum("ngf...,ngc...->gfc...", grads.conj(), image)
            product = product.reshape(*w.shape[:2], *product.shape[3:])
            taps = [slice(0, n, d) for n, d in zip(spec.window, spec.dilation, strict=True)]
            whole = fft.irfftn(product, size, axes)
            dw = np.ascontiguousarray(whole[:, :, *taps], spec.dtype)
        if "db" in needs:
            db = dout.sum(axis=(0, *range(2, dout.ndim)))
        return dx, dw, db

    @staticmethod
    def _transform(spec):
        """The padded image's size: no wanted value of the circular product wraps around."""
        size = [n + sum(pad) for n, pad in zip(spec.x_shape[2:], spec.pad, strict=True)]
        return size, tuple(range(2, 2 + spec.axes))

    @staticmethod
    def _padded(spec, x):
        return np.pad(x, ((0, 0), (0, 0), *spec.pad))

    @staticmethod
    def _dilated(spec, w):
        kernel = np.zeros((*w.shape[:2], *spec.window), spec.dtype)
        kernel[:, :, *(slice(None, None, d) for d in spec.dilation)] = w
        return kernel

    @staticmethod
    def _strided(spec):
        return [
            slice(0, (n - 1) * s + 1, s)
            for n, s in zip(spec.out_shape[2:], spec.stride, strict=True)
        ]

    @staticmethod
    def _by_group(spec, array, axis):
        """Split the channels (or the filters) of a transform into groups."""
        shape = list(array.shape)
        shape[axis : axis + 1] = [spec.groups, shape[axis] // spec.groups]
        return array.reshape(shape)

    def _taps_forward(self, spec, x, w, b):
        """The same tap by tap, for inputs that are not finite."""
        groups, filters, channels = spec.groups, len(w) // spec.groups, w.shape[1]
        out = np.zeros(spec.out_shape, spec.dtype)
        for tap, outs, ins in spec.taps():
            place = out[:, :, *outs]
            pixels = x[:, :, *ins].reshape(len(x), groups, channels, self._size(outs))
            weights = w[:, :, *tap].reshape(groups, filters, channels)
            place += (weights @ pixels).reshape(place.shape)
        if b is not None:
            out += b.reshape(-1, *(1,) * spec.axes)
        return out, None

    def _taps_backward(self, spec, dout, x, w, saved, needs):
        """The same tap by tap."""
        groups, filters, channels = spec.groups, len(w) // spec.groups, w.shape[1]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for tap, outs, ins in spec.taps():
            grads = dout[:, :, *outs].reshape(len(x), groups, filters, self._size(outs))
            if "dx" in needs:
                place = dx[:, :, *ins]
                weights = w[:, :, *tap].reshape(groups, filters, channels)
                place += (weights.swapaxes(1, 2) @ grads).reshape(place.shape)
            if "dw" in needs:
                pixels = x[:, :, *ins].reshape(len(x), groups, channels, self._size(outs))
                products = (grads @ pixels.swapaxes(2, 3)).sum(axis=0)
                dw[:, :, *tap] = products.reshape(len(w), channels)
        db = dout.sum(axis=(0, *range(2, dout.ndim))) if "db" in needs else None
        return dx, dw, db

    def pool_forward(self, spec, x):
        """Return out, and for a maximum the number of the tap that won in each window."""
        if spec.kind == "avg":
            out = np.zeros(spec.out_shape, spec.dtype)
            for _, outs, ins in spec.taps():
                out[:, :, *outs] += x[:, :, *ins]
            return out / self._divisor(spec), None
        out = np.full(spec.out_shape, -np.inf, spec.dtype)
        winner = np.full(spec.out_shape, -1, np.intp)
        for number, (_, outs, ins) in enumerate(spec.taps()):
            value, best, won = x[:, :, *ins], out[:, :, *outs], winner[:, :, *outs]
            # The first of equals stays, and so does the first NaN: nothing is larger than it.
            better = ((value > best) | np.isnan(value) | (won < 0)) & ~np.isnan(best)
            best[better] = value[better]
            won[better] = number
        return out, winner

    def pool_backward(self, spec, dout, saved):
        """Return dx."""
        dx = np.zeros(spec.x_shape, spec.dtype)
        share = dout if saved is not None else dout / self._divisor(spec)
        for number, (_, outs, ins) in enumerate(spec.taps()):
            part = share[:, :, *outs]
            if saved is not None:
                part = np.where(saved[:, :, *outs] == number, part, 0)
            dx[:, :, *ins] += part
        return dx

    def info(self):
        """Facts for ``convkit backends``."""
        return {"dtypes": ("float32", "float64"), "instruction_set": "pocketfft", "threads": 1}

    @staticmethod
    def _size(slices):
        """How many positions the slices of all axes cover."""
        return math.prod(s.stop - s.start for s in slices)

    @staticmethod
    def _divisor(spec):
        """How many pixels each window counts: the product of its axes' counts."""
        grids = np.meshgrid(*spec.counts, indexing="ij")
        return math.prod(grids).astype(spec.dtype)


@hookimpl
def convkit_backend():
    """Hand the backend to convkit."""
    return FftBackend()
