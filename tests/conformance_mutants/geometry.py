"""Forward and backward read the problem's geometry wrongly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Taps
from conformance_mutants.registry import CONV, geometry, mutant


@geometry(*CONV)
def dilation0_twice(spec):
    """The first axis' dilation is used for every axis; tests with equal values pass (burn#4466)."""
    return replace(spec, dilation=spec.dilation[:1] * spec.axes)


@geometry(*CONV)
def dilations_swapped(spec):
    """The dilations of the axes are exchanged."""
    return replace(spec, dilation=spec.dilation[::-1])


@geometry(*CONV)
def last_dilation_ignored(spec):
    """The innermost loop runs over neighbours, whatever the dilation."""
    return replace(spec, dilation=(*spec.dilation[:-1], 1))


@geometry(*CONV)
def dilation_ignored_where_padded(spec):
    """The path that handles padding forgets dilation."""
    padded = any(map(any, spec.pad))
    return replace(spec, dilation=(1,) * spec.axes) if padded else spec


@geometry(*CONV)
def stride0_twice(spec):
    """The first axis' stride is used for every axis."""
    return replace(spec, stride=spec.stride[:1] * spec.axes)


@geometry(*CONV)
def strides_swapped(spec):
    """The strides of the axes are exchanged."""
    return replace(spec, stride=spec.stride[::-1])


@geometry(*CONV)
def stride_clipped_to_kernel(spec):
    """A stride larger than the kernel is taken for a mistake."""
    pairs = zip(spec.stride, spec.kernel, strict=True)
    return replace(spec, stride=tuple(min(pair) for pair in pairs))


@geometry(*CONV)
def pads_swapped(spec):
    """The paddings of the axes are exchanged."""
    return replace(spec, pad=spec.pad[::-1])


@geometry(*CONV)
def pad_begin_end_swapped(spec):
    """Every axis pads its end by what is meant for its beginning."""
    return replace(spec, pad=tuple((end, begin) for begin, end in spec.pad))


@geometry(*CONV)
def pad_halved_from_total(spec):
    """The padding is taken to be symmetric: total // 2 at the beginning (Caffe's kind)."""
    return replace(spec, pad=tuple((sum(pair) // 2,) * 2 for pair in spec.pad))


@geometry(*CONV)
def pad_clipped_to_kernel(spec):
    """Padding of a whole kernel or more is clipped to kernel - 1."""
    pads = zip(spec.pad, spec.window, strict=True)
    return replace(spec, pad=tuple((min(p[0], w - 1), min(p[1], w - 1)) for p, w in pads))


@geometry(*CONV)
def pad_lost(spec):
    """padding= is accepted and never handed on (pytorch#188344)."""
    return replace(spec, pad=((0, 0),) * spec.axes)


@geometry(*CONV)
def pad_scaled_by_dilation(spec):
    """Padding is counted in dilated pixels."""
    pads = zip(spec.pad, spec.dilation, strict=True)
    return replace(spec, pad=tuple((p[0] * d, p[1]) for p, d in pads))


@geometry(*CONV)
def stride_ignored_by_1x1(spec):
    """The shortcut for 1x1 kernels is a plain matrix product."""
    return replace(spec, stride=(1,) * spec.axes) if set(spec.kernel) == {1} else spec


@geometry(*CONV)
def stride_ignored_between_rows(spec):
    """Kernels one row high, with as many rows of results as of pixels, run with stride 1."""
    rows = slice(0, spec.axes - 1)
    one = {*spec.kernel[rows]} == {1} and not any(begin for begin, _ in spec.pad[rows])
    if not one or spec.x_shape[2:-1] != spec.out_shape[2:-1]:
        return spec
    return replace(spec, stride=(1,) * (spec.axes - 1) + spec.stride[-1:])


@geometry(*CONV)
def pad_ignored_by_1x1(spec):
    """The shortcut for 1x1 kernels takes the output to start at the first pixel."""
    return replace(spec, pad=((0, 0),) * spec.axes) if set(spec.kernel) == {1} else spec


@geometry(*CONV)
def depth_stride_ignored(spec):
    """3-D: the outermost stride is not applied."""
    return replace(spec, stride=(1, *spec.stride[1:])) if spec.axes == 3 else spec


@geometry(*CONV)
def depth_dilation_from_height(spec):
    """3-D: the outermost axis takes the next one's dilation."""
    d = spec.dilation
    return replace(spec, dilation=(d[1], *d[1:])) if spec.axes == 3 else spec


@geometry(*CONV)
def dilation_dropped_in_1d(spec):
    """1-D is run as 2-D with height 1, and the dilation lands on the height."""
    return replace(spec, dilation=(1,)) if spec.axes == 1 else spec


@mutant
class EndPadReplicatesEdge(Taps):
    """Reads beyond the end of a row are clamped to its last pixel instead of giving zero."""

    def conv_out(self, spec, x, w):
        ends = ((0, 0), (0, 0), *((0, end) for _, end in spec.pad))
        x = np.pad(x, ends, mode="edge")
        return super().conv_out(replace(spec, x_shape=x.shape), x, w)


@mutant
class EndPadOutputsLeftZero(Taps):
    """Outputs whose window reaches into the end padding of the rows are never computed."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        begin, end = spec.pad[-1]
        inside = (spec.x_shape[-1] + begin - spec.window[-1]) // spec.stride[-1] + 1
        if end:
            out[..., max(inside, 0) :] = 0
        return out


@mutant
class KernelFlipped(Taps):
    """Mathematical convolution instead of cross-correlation."""

    def conv_out(self, spec, x, w):
        return super().conv_out(spec, x, np.flip(w, tuple(range(2, w.ndim))))


@mutant
class SquareKernelTransposed(Taps):
    """Where all kernel sizes are equal, the kernel's axes are read in the wrong order."""

    def conv_out(self, spec, x, w):
        if len(set(spec.kernel)) == 1:
            w = np.moveaxis(w, -1, 2)
        return super().conv_out(spec, x, w)


@mutant
class ChannelsLastByGuess(Taps):
    """An image with C == H == W is taken for NHWC."""

    def conv_out(self, spec, x, w):
        if len(set(spec.x_shape[1:])) == 1:
            x = np.moveaxis(x, -1, 1)
        return super().conv_out(spec, x, w)


@mutant
class SquarePointwiseTransposed(Taps):
    """1x1 with as many filters as channels reads w as (C, F)."""

    def conv_out(self, spec, x, w):
        if set(spec.kernel) == {1} and spec.w_shape[0] == spec.w_shape[1]:
            w = w.swapaxes(0, 1)
        return super().conv_out(spec, x, w)


@mutant
class WholeImageShortcut(Taps):
    """A kernel as large as the image is one dot product, even where padding gives more outputs."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.kernel == spec.x_shape[2:] and spec.groups == 1:
            whole = x.reshape(len(x), -1) @ w.reshape(len(w), -1).T
            out[:] = whole.reshape(*whole.shape, *(1,) * spec.axes)
        return out


@mutant
class OnePixelShortcut(Taps):
    """A 1x1 image meets the kernel's first tap, even where padding shifts it."""

    def conv_out(self, spec, x, w):
        if set(spec.x_shape[2:]) == {1}:
            spec = replace(spec, pad=((0, 0),) * spec.axes)
        return super().conv_out(spec, x, w)


@mutant
class BiasMissingInPadding(Taps):
    """1x1 with padding: outputs that see padding alone are left 0 instead of set to the bias."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, b)
        if set(spec.kernel) == {1} and any(map(any, spec.pad)):
            _, outs, _ = next(iter(spec.taps()))
            seen = np.zeros(out.shape, bool)
            seen[:, :, *outs] = True
            out[~seen] = 0


@mutant
class BiasMissingWhereWindowIsPadding(Taps):
    """pad >= kernel: an output that sees no pixel is skipped, its bias with it."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, b)
        seen = np.zeros(out.shape, bool)
        for _, outs, _ in spec.taps():
            seen[:, :, *outs] = True
        out[~seen] = 0


@mutant
class LongKernelTruncated(Taps):
    """A table of offsets has room for 16 taps along the rows; later ones are dropped."""

    def conv_out(self, spec, x, w):
        w = w.copy()
        w[..., 16:] = 0
        return super().conv_out(spec, x, w)


@mutant
class ManyTapsTruncated(Taps):
    """The number of taps is counted in a byte: those from the 256th on are dropped."""

    def conv_out(self, spec, x, w):
        w = w.copy()
        w.reshape(*w.shape[:2], -1)[:, :, 256:] = 0
        return super().conv_out(spec, x, w)


@mutant
class WideRowTruncated(Taps):
    """A row buffer holds 1024 outputs; what lies beyond is not computed."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        out[..., 1024:] = 0
        return out


@mutant
class TallImageTruncated(Taps):
    """A table of rows holds 1024 entries; what lies below is not computed."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        out[:, :, 1024:] = 0
        return out


@mutant
class WidthInSixteenBits(Taps):
    """Column numbers are int16: from 32768 on they wrap around to the row's beginning."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if out.shape[-1] > 1 << 15:
            beyond = out[..., 1 << 15 :]
            beyond[:] = out[..., : beyond.shape[-1]].copy()
        return out


@mutant(needs_full=True)
class FlatIndexInThirtyTwoBits(Taps):
    """Offsets into x are int32: pixels from 2^31 on are read as zero."""

    limit = 1 << 31

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if x.size > self.limit:
            per_image = x.size // len(x)
            out[self.limit // per_image :] = 0
        return out
