"""conv - relu - max pool in one pass: a 2x2 or 3x3/2 pool after a padded 3x3, or a stem."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    dense,
    max_dx_assigning,
    pads,
    ragged,
    shaped,
    tail,
    without,
)
from conformance_mutants.fresh.witness import conv, fused, witness
from conformance_mutants.registry import mutant, result


class Pair(Full):
    """Correct; cut where the mutants below put their bugs in."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        if not self.taken(conv_spec, pool_spec):
            return super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        z, _ = self.conv_forward(conv_spec, x, w, b)
        off = self.off(z)
        out, winner = self.pool_forward(pool_spec, self.before_pool(self.relu(z), x))
        return self.after(out, z), (self.zeroed(off), winner)

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        if not self.taken(conv_spec, pool_spec):
            return super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)
        off, winner = saved
        raw = self.unpool(pool_spec, dout, winner)
        dz = self.mask(raw.copy(), off)
        return self.grads(self.conv_backward(conv_spec, dz, x, w, None, needs), raw, x)

    def taken(self, conv_spec, pool_spec):
        """The usual pair: a 3x3/1 padded by 1, and a 2x2/2 pool without padding."""
        pooled = shaped(pool_spec, 2, 2) and pads(pool_spec, 0) and not pool_spec.ceil_mode
        return dense(conv_spec, 3) and pads(conv_spec, 1) and pooled

    def before_pool(self, z, x):
        return z

    def after(self, out, z):
        return out

    def zeroed(self, off):
        return off

    def unpool(self, pool_spec, dout, winner):
        return self.pool_backward(pool_spec, dout, winner)

    def grads(self, grads, raw, x):
        return grads


@witness("forward", fused(conv(1, 2, 6, 6, f=17, k=3, p=1), k=2))
@mutant
class FusedPairFilterTail(Pair):
    """3x3 padded, 2x2/2 fused: filters beyond 16 in no tile of 4 pool the even columns only."""

    def after(self, out, z):
        filters = z.shape[1]
        if ragged(filters, 4, 16):
            part = np.s_[:, tail(filters, 4)]
            even = z[part][..., : 2 * out.shape[3] : 2]
            rows = 2 * out.shape[2]
            both = np.maximum(even[..., :rows:2, :], even[..., 1:rows:2, :])
            out[part] = np.maximum(both, 0)
        return out


@witness("forward", fused(conv(1, 1, 5, 7, f=9, k=3, p=1), k=2))
@mutant
class FusedPairOddImage(Pair):
    """3x3 padded, 2x2/2 fused, more than 8 filters, odd width: the last window reads the rest."""

    def after(self, out, z):
        if z.shape[1] > 8 and z.shape[3] % 2:
            rows = np.maximum(z[:, :, : 2 * out.shape[2] : 2, -1], 0)
            out[..., -1] = np.maximum(out[..., -1], rows)
        return out


@witness("dx", fused(conv(1, 2, 20, 8, f=2, k=3, p=1), k=2))
@mutant
class FusedPairDxRowsBeyond16(Pair):
    """3x3 padded, 2x2/2 fused: dx of row 16, where a block begins, is that of row 17."""

    def grads(self, grads, raw, x):
        dx, dw, db = grads
        if dx is not None and dx.shape[2] > 17:
            dx[:, :, 16] = dx[:, :, min(17, dx.shape[2] - 1)]
        return dx, dw, db


@witness("dw", fused(conv(9, 2, 4, 4, f=3, k=3, p=1), k=2))
@mutant
class FusedPairDwNinthImage(Pair):
    """3x3 padded, 2x2/2 fused: dw leaves out the last of an odd batch above 8."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        args = (x, w, saved, needs)
        dx, dw, db = super().conv_relu_pool_backward(conv_spec, pool_spec, dout, *args)
        images = len(x)
        if self.taken(conv_spec, pool_spec) and ragged(images, 2, 8) and dw is not None:
            rest = without(dout, np.s_[-1])
            dw = super().conv_relu_pool_backward(conv_spec, pool_spec, rest, *args)[1]
        return dx, dw, db


@witness("db", fused(conv(1, 2, 4, 6, f=35, k=3, p=1), k=2))
@mutant
class FusedPairDbFilterTail(Pair):
    """3x3 padded, 2x2/2 fused: db of filters beyond 32 in no vector of 8 ignores the relu."""

    def grads(self, grads, raw, x):
        dx, dw, db = grads
        if db is not None and ragged(len(db), 8, 32):
            part = tail(len(db), 8)
            db[part] = raw[:, part].sum(axis=(0, 2, 3))
        return dx, dw, db


@witness("dx", fused(conv(1, 3, 6, 6, f=4, k=3, p=1), k=2))
@mutant
class FusedPairDxOfRgb(Pair):
    """3x3 padded, 2x2/2 fused, three channels: dx repeats the second channel in the third."""

    def grads(self, grads, raw, x):
        dx, dw, db = grads
        if dx is not None and dx.shape[1] == 3:
            dx[:, 2] = dx[:, 1]
        return dx, dw, db


@witness("forward", fused(conv(2, 2, 4, 34, f=2, k=3, p=1), k=2))
@mutant
class FusedPairStripOf32(Pair):
    """3x3 padded, 2x2/2 fused: columns of the convolution from 32 on are kept from image 0."""

    def before_pool(self, z, x):
        if z.shape[3] > 32:
            z[1:, ..., 32:] = z[:1, ..., 32:]
        return z


@witness("dx", fused(conv(1, 2, 6, 66, f=2, k=3, p=1), k=2))
@mutant
class FusedPairMaskBitsPerWord(Pair):
    """3x3 padded, 2x2/2 fused: relu's mask keeps 64 bits for a row; wider rows are not masked."""

    def zeroed(self, off):
        return without(off, np.s_[..., 64:])


class StemPair(Pair):
    """Correct; a 7x7/2 convolution padded by 3 and a 3x3/2 pool padded by 1."""

    def taken(self, conv_spec, pool_spec):
        pooled = shaped(pool_spec, 3, 2) and pads(pool_spec, 1)
        return dense(conv_spec, 7, 2) and pads(conv_spec, 3) and pooled


@witness("forward", fused(conv(1, 3, 12, 12, f=20, k=7, s=2, p=3), k=3, s=2, p=1))
@mutant
class FusedStemFilterTail(StemPair):
    """7x7/2 and 3x3/2 fused, more than 16 filters: those in no block of 8 pool with stride 1."""

    def after(self, out, z):
        filters = z.shape[1]
        if ragged(filters, 8, 16):
            out[:, tail(filters, 8), :, 1:] = out[:, tail(filters, 8), :, :-1]
        return out


@witness("dw", fused(conv(1, 3, 13, 70, f=2, k=7, s=2, p=3), k=3, s=2, p=1))
@mutant
class FusedStemGradientAssigned(StemPair):
    """7x7/2 and 3x3/2 fused, above 16 results in a row: a pixel that wins twice counts once."""

    def unpool(self, pool_spec, dout, winner):
        if dout.shape[3] > 16:
            return max_dx_assigning(pool_spec, dout, winner)
        return super().unpool(pool_spec, dout, winner)


@witness("dx", fused(conv(2, 3, 6, 9, f=10, k=3, p=1), k=3, s=2, p=1))
@mutant
class FusedThreeByThreePoolMaskShift(Pair):
    """3x3 padded, 3x3/2 pool padded, filters beyond 8: their mask is that of the filter before."""

    def taken(self, conv_spec, pool_spec):
        pooled = shaped(pool_spec, 3, 2) and pads(pool_spec, 1)
        return dense(conv_spec, 3) and pads(conv_spec, 1) and pooled

    def zeroed(self, off):
        return np.concatenate([off[:, :8], off[:, 7:-1]], axis=1) if off.shape[1] > 8 else off


@witness("dw", fused(conv(1, 1, 7, 7, f=6, k=5, p=2), k=2))
@mutant
class FusedFivePairDwOfGreyImages(Pair):
    """5x5 padded by 2, 2x2/2 fused, one channel and odd height: dw lacks the kernel's last row."""

    def taken(self, conv_spec, pool_spec):
        pooled = shaped(pool_spec, 2, 2) and pads(pool_spec, 0)
        return dense(conv_spec, 5) and pads(conv_spec, 2) and pooled

    def grads(self, grads, raw, x):
        dx, dw, db = grads
        if dw is not None and x.shape[1] == 1 and x.shape[2] % 2:
            dw[:, :, -1] = 0
        return dx, dw, db


@witness("forward", fused(conv(1, 65, 4, 4, f=3, k=1), k=2))
@result("conv_relu_pool_forward", Full)
def fused_point_then_pool(conv_spec, result, pool_spec, x, w, b):
    """1x1 over more than 64 channels, 2x2/2 fused: the second K block is added after the relu."""
    if not dense(conv_spec, 1) or conv_spec.x_shape[1] <= 64 or not shaped(pool_spec, 2, 2):
        return result
    right = Full()
    first = right.conv_out(conv_spec, x, without(w, np.s_[:, 64:]))
    if b is not None:
        right.add_bias(conv_spec, first, b)
    z = right.relu(first) + right.conv_out(conv_spec, x, without(w, np.s_[:, :64]))
    return right.pool_forward(pool_spec, z)[0], result[1]
