"""Groups, depthwise convolution, bias and batch: which array belongs to which."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import Taps
from conformance_mutants.registry import mutant, result


def per_group(spec, out):
    """out as (N, G, F / G, ...)."""
    return out.reshape(len(out), spec.groups, -1, *out.shape[2:])


@mutant
class GroupsOffByOne(Taps):
    """Each group reads the channels of the next."""

    def conv_out(self, spec, x, w):
        return super().conv_out(spec, np.roll(x, -spec.w_shape[1] * (spec.groups > 1), axis=1), w)


@mutant
class GroupsInterleaved(Taps):
    """Filter f belongs to group f % groups instead of f // (F / groups)."""

    def conv_out(self, spec, x, w):
        order = np.arange(len(w)).reshape(-1, spec.groups).T.ravel()
        out = np.empty(spec.out_shape, spec.dtype)
        out[:, order] = super().conv_out(spec, x, np.ascontiguousarray(w[order]))
        return out


@mutant
class ChannelShuffle(Taps):
    """The channels of a group are taken g, g + G, ... instead of side by side."""

    def conv_out(self, spec, x, w):
        order = np.arange(x.shape[1]).reshape(-1, spec.groups).T.ravel()
        return super().conv_out(spec, np.ascontiguousarray(x[:, order]), w)


@mutant
class DepthMultiplierIgnored(Taps):
    """Depthwise with two filters a channel: filter f reads channel f % C, not f // 2."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.groups == x.shape[1] and len(w) > x.shape[1] > 1:
            for f in range(len(w)):
                one = self.one_channel(spec)
                out[:, f : f + 1] = super().conv_out(
                    one, np.ascontiguousarray(x[:, f % x.shape[1], None]), w[f : f + 1]
                )
        return out

    @staticmethod
    def one_channel(spec):
        from dataclasses import replace

        return replace(
            spec,
            groups=1,
            x_shape=(spec.x_shape[0], 1, *spec.x_shape[2:]),
            w_shape=(1, 1, *spec.kernel),
            out_shape=(spec.x_shape[0], 1, *spec.out_shape[2:]),
        )


@result("conv_out")
def depthwise_wrong_at_24_channels(spec, out, x, w):
    """Depthwise: 24 channels are one vector of 16 and half of one, which is dropped."""
    if spec.groups == x.shape[1] == 24:
        out[:, 16:] = 0


@result("conv_dx")
def depthwise_dx_wrong_at_24_channels(spec, dx, dout, w):
    """As in forward, in dx only."""
    if spec.groups == dx.shape[1] == 24:
        dx[:, 16:] = 0


@result("conv_out")
def groups_right_in_first_image_only(spec, out, x, w):
    """The batch stride is lost with groups: every image gets the first one's result."""
    if spec.groups > 1 and len(out) > 1:
        out[1:] = out[:1]


@result("conv_out")
def last_group_dropped_if_odd(spec, out, x, w):
    """Groups are taken two by two; an odd last one is not."""
    if spec.groups > 1 and spec.groups % 2:
        per_group(spec, out)[:, -1] = 0


@mutant
class BiasTwiceWithGroups(Taps):
    """The bias is added once before and once after the loop over groups."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, b * (2 if spec.groups > 1 else 1))


@mutant
class BiasIndexedWithinGroup(Taps):
    """Every group uses the first group's bias."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, np.tile(b[: len(b) // spec.groups], spec.groups))


@mutant
class FirstBiasForAll(Taps):
    """b[0] is added to every filter."""

    def add_bias(self, spec, out, b):
        out += b[0]


@mutant
class BiasPerChannelTile(Taps):
    """The bias pointer advances once for each block of channels: from C > 64 on it counts twice."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, b * (2 if spec.w_shape[1] > 64 else 1))


@mutant
class StaleBias(Taps):
    """Without a bias, the last one that fits is added."""

    bias = None

    def conv_forward(self, spec, x, w, b):
        out, saved = super().conv_forward(spec, x, w, b)
        if b is not None:
            self.bias = b.copy()
        elif self.bias is not None and len(self.bias) == len(w):
            self.add_bias(spec, out, self.bias.astype(spec.dtype))
        return out, saved


@result("conv_out")
def single_image_unbatched(spec, out, x, w):
    """N = 1 takes a path without the batch axis, and computes the first filter only."""
    if len(out) == 1:
        out[0, 1:] = 0


@result("conv_out")
def batch_wraps_at_32(spec, out, x, w):
    """Image numbers are kept in five bits."""
    for n in range(32, len(out)):
        out[n] = out[n % 32]


@result("conv_out")
def filter_number_in_a_byte(spec, out, x, w):
    """Filter numbers are kept in eight bits."""
    for f in range(256, out.shape[1]):
        out[:, f] = out[:, f % 256]


@mutant
class EmptyBatchUninitialised(Taps):
    """N = 0: dw and db are allocated, and no image is there to set them."""

    def conv_dw(self, spec, dout, x):
        return super().conv_dw(spec, dout, x) if len(x) else np.empty(spec.w_shape, spec.dtype)

    def conv_db(self, spec, dout):
        return super().conv_db(spec, dout) if len(dout) else np.empty(spec.w_shape[0], spec.dtype)


@mutant
class EmptyBatchGarbage(Taps):
    """N = 0: dw is the mean over no image."""

    def conv_dw(self, spec, dout, x):
        dw = super().conv_dw(spec, dout, x)
        return dw if len(x) else np.full_like(dw, np.nan)


@mutant
class EmptyBatchRaises(Taps):
    """N = 0: the number of blocks is computed by a division by N."""

    def conv_out(self, spec, x, w):
        _ = 1024 // len(x)
        return super().conv_out(spec, x, w)


@mutant
class EmptyBatchRaisesInPooling(Taps):
    """N = 0: pooling divides by N."""

    def pool_backward(self, spec, dout, saved):
        _ = 1024 // len(dout)
        return super().pool_backward(spec, dout, saved)
