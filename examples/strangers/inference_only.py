"""The gradients that a library without training lacks, by its own operators as far as they go.

dx is the library's transposed convolution of dout. dw is its convolution of x by dout, with images
and channels exchanged and stride and dilation exchanged, one group at a time: geometries that its
authors hardly met. Gradients of pools are NumPy's, from the indices of the library's maxima.
"""

import numpy as np

from convkit.contract import API_VERSION


def contiguous(array):
    return np.array(array, order="C")


def inner(spec, padded):
    """What belongs to the image, of an array that begins with the padding."""
    pairs = zip(spec.pad, spec.x_shape[2:], strict=True)
    return contiguous(padded[:, :, *(slice(begin, begin + n) for (begin, _), n in pairs)])


def overhangs(spec):
    """Per axis, by how much the last window ends behind the image; negative: before its end."""
    axes = zip(
        spec.out_shape[2:], spec.stride, spec.window, spec.pad, spec.x_shape[2:], strict=True
    )
    return [(o - 1) * s + w - begin - n for o, s, w, (begin, _), n in axes]


class InferenceOnly:
    """Wants ``convolution(x, w, b, stride, pad, dilation, groups)`` and ``transposed`` alike."""

    api_version = API_VERSION

    def conv_forward(self, spec, x, w, b):
        args = spec.stride, spec.pad, spec.dilation, spec.groups
        return self.convolution(x, w, b, *args), None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx = self.dx(spec, dout, w) if "dx" in needs else None
        dw = self.dw(spec, dout, x) if "dw" in needs else None
        return dx, dw, dout.sum((0, *range(2, dout.ndim))) if "db" in needs else None

    def dx(self, spec, dout, w):
        wide = self.transposed(dout, w, spec.stride, spec.dilation, spec.groups)
        unread = [max(-overhang, 0) for overhang in overhangs(spec)]
        return inner(spec, np.pad(wide, [(0, 0), (0, 0), *((0, n) for n in unread)]))

    def dw(self, spec, dout, x):
        ends = overhangs(spec)
        sizes = [n + min(end, 0) for n, end in zip(spec.x_shape[2:], ends, strict=True)]
        if min(sizes) <= 0:  # every window lies in the padding
            return np.zeros(spec.w_shape, spec.dtype)
        read = x[:, :, *map(slice, sizes)]
        pad = [(begin, max(end, 0)) for (begin, _), end in zip(spec.pad, ends, strict=True)]
        args = None, spec.dilation, pad, spec.stride, 1
        images, filters = (np.split(a.swapaxes(0, 1), spec.groups) for a in (read, dout))
        groups = [
            self.convolution(contiguous(a), contiguous(d), *args).swapaxes(0, 1)
            for a, d in zip(images, filters, strict=True)
        ]
        return contiguous(np.concatenate(groups))

    def pool_backward(self, spec, dout, saved):
        """``saved`` are the maxima's places in the whole of x."""
        dx = np.zeros(spec.x_shape, spec.dtype)
        if spec.kind == "max":
            np.add.at(dx.reshape(-1), saved, dout)
            return dx
        counts = np.prod(np.meshgrid(*spec.counts, indexing="ij"), 0).astype(dout.dtype)
        for _, outs, ins in spec.taps():
            dx[:, :, *ins] += (dout / counts)[:, :, *outs]
        return dx
