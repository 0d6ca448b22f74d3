"""conv - relu - max pool in one pass is a kernel of its own; its parts alone are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import max_dx_assigning, ragged, tail, without
from conformance_mutants.fresh.witness import conv, fused, witness
from conformance_mutants.registry import mutant

RIGHT = Full()


class Own(Full):
    """Correct; reads the geometry, and keeps intermediate results, in methods of its own."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        conv_spec, pool_spec = self.read(conv_spec, pool_spec, "forward")
        z, _ = RIGHT.conv_forward(conv_spec, x, w, b)
        z = self.between(z, x)
        out, winner = RIGHT.pool_forward(pool_spec, RIGHT.relu(z))
        return out, (self.closed(conv_spec, z), winner)

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        off, winner = saved
        conv_spec, pool_spec = self.read(conv_spec, pool_spec, "backward")
        dz = self.masked(self.unpool(pool_spec, dout, winner), off, needs)
        return self.grads(conv_spec, dz, x, w, needs)

    def read(self, conv_spec, pool_spec, when):
        return conv_spec, pool_spec

    def between(self, z, x):
        return z

    def closed(self, conv_spec, z):
        return RIGHT.off(z)

    def unpool(self, pool_spec, dout, winner):
        return RIGHT.pool_backward(pool_spec, dout, winner)

    def masked(self, dz, off, needs):
        return RIGHT.mask(dz, off)

    def grads(self, conv_spec, dz, x, w, needs):
        return RIGHT.conv_backward(conv_spec, dz, x, w, None, needs)


# --- geometry ---------------------------------------------------------------------------------


@witness("forward", fused(conv(1, 9, 8, 8, f=9, k=2), k=2, d=2, s=1))
@mutant
class FusedPoolDilationIgnored(Own):
    """Fused, more than 8 filters: a dilated pool takes neighbours."""

    def read(self, conv_spec, pool_spec, when):
        if conv_spec.w_shape[0] > 8:
            pool_spec = replace(pool_spec, dilation=(1,) * pool_spec.axes)
        return conv_spec, pool_spec


@witness("forward", fused(conv(1, 1, 8, 8, f=3, k=3, p=1), k=3, s=2, p=1, ceil=True))
@mutant
class FusedCeilWithPadding(Own):
    """Fused, a pool with ceil_mode and padding: the last column, as without ceil_mode, is 0."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, saved = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        if pool_spec.ceil_mode and any(map(any, pool_spec.pad)):
            room = pool_spec.x_shape[-1] + sum(pool_spec.pad[-1]) - pool_spec.window[-1]
            out[..., room // pool_spec.stride[-1] + 1 :] = 0
        return out, saved


@witness("forward", fused(conv(1, 2, 12, f=2, k=3), k=2, s=3))
@mutant
class FusedOneAxisPoolStride(Own):
    """Fused on one axis: the pool's stride is its kernel."""

    def read(self, conv_spec, pool_spec, when):
        if pool_spec.axes == 1:
            pool_spec = replace(pool_spec, stride=pool_spec.kernel)
        return conv_spec, pool_spec


@witness("forward", fused(conv(1, 2, 5, 4, 4, f=2, k=2, p=((1, 1), (0, 0), (0, 0))), k=2))
@mutant
class FusedThreeAxesDepthPadding(Own):
    """Fused on three axes: the convolution's padding of the depth is put at its end."""

    def read(self, conv_spec, pool_spec, when):
        if conv_spec.axes == 3:
            first = (0, sum(conv_spec.pad[0]))
            conv_spec = replace(conv_spec, pad=(first, *conv_spec.pad[1:]))
        return conv_spec, pool_spec


@witness("dw", fused(conv(2, 9, 7, 7, f=3, k=3, s=2, p=1), k=2, s=1))
@mutant
class FusedStridedConvDw(Own):
    """Fused, a strided convolution of more than 8 channels: dw takes its stride for 1."""

    def grads(self, conv_spec, dz, x, w, needs):
        dx, dw, db = super().grads(conv_spec, dz, x, w, needs)
        if dw is not None and conv_spec.x_shape[1] > 8 and max(conv_spec.stride) > 1:
            narrow = replace(conv_spec, stride=(1,) * conv_spec.axes)
            dw = RIGHT.conv_dw(narrow, dz, x)
        return dx, dw, db


@witness("dx", fused(conv(2, 2, 6, 6, f=9, k=2, p=1), k=3, s=2))
@mutant
class FusedOverlapAssigned(Own):
    """Fused, an overlapping pool of more than 8 filters: a pixel that wins twice counts once."""

    def unpool(self, pool_spec, dout, winner):
        if pool_spec.x_shape[1] > 8:
            return max_dx_assigning(pool_spec, dout, winner)
        return super().unpool(pool_spec, dout, winner)


@witness("dx", fused(conv(1, 10, 5, 5, f=6, g=2, k=2), k=2))
@mutant
class FusedGroupsDx(Own):
    """Fused with groups of more than 4 channels: dx has its channels in reverse order."""

    def grads(self, conv_spec, dz, x, w, needs):
        dx, dw, db = super().grads(conv_spec, dz, x, w, needs)
        if dx is not None and conv_spec.groups > 1 and conv_spec.w_shape[1] > 4:
            dx = dx[:, ::-1].copy()
        return dx, dw, db


@witness("forward", fused(conv(1, 2, 9, 9, f=2, k=3, d=2, p=((2, 1), (1, 2))), k=2))
@mutant
class FusedDilatedUnevenPadding(Own):
    """Fused, a dilated convolution padded unevenly: both ends are padded by half of the sum."""

    def read(self, conv_spec, pool_spec, when):
        if max(conv_spec.dilation) > 1:
            pad = tuple((sum(pair) // 2, sum(pair) - sum(pair) // 2) for pair in conv_spec.pad)
            conv_spec = replace(conv_spec, pad=pad)
        return conv_spec, pool_spec


@witness("dx", fused(conv(1, 2, 9, 9, f=2, k=2), k=2, s=3))
@mutant
class FusedPoolGapDx(Own):
    """Fused, a pool whose stride exceeds its kernel: rows in between repeat those above."""

    def unpool(self, pool_spec, dout, winner):
        dz = super().unpool(pool_spec, dout, winner)
        step, window = pool_spec.stride[0], pool_spec.window[0]
        if step > window and not pool_spec.pad[0][0]:
            gap = dz[:, :, window::step]
            gap[...] = dz[:, :, window - 1 :: step][:, :, : gap.shape[2]]
        return dz


# --- values -----------------------------------------------------------------------------------


@witness("forward", fused(conv(2, 2, 6, 6, f=17, k=2), k=2), data="nan")
@mutant
class FusedNanBeyond16Filters(Own):
    """Fused: relu is max(z, 0) by an instruction that turns NaN into 0 for filters from 16 on."""

    def between(self, z, x):
        late = z[:, 16:]
        late[np.isnan(late)] = 0
        return z


@witness("forward", fused(conv(1, 3, 6, 6, f=9, k=2), k=2), weights="real")
@mutant
class FusedIntermediateInHalf(Own):
    """Fused, more than 8 filters: the convolution's result is kept in half precision."""

    def between(self, z, x):
        with np.errstate(over="ignore"):
            return z.astype(np.float16).astype(z.dtype) if z.shape[1] > 8 else z


@witness("dx", fused(conv(1, 1, 6, 6, f=2, k=1, dtype="float64"), k=3, s=1), data="near")
@mutant
class FusedDoublePoolsInSingle(Own):
    """Fused in float64: the winners are found among results rounded to float32."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, (off, _) = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        z, _ = RIGHT.conv_forward(conv_spec, x, w, b)
        single = RIGHT.relu(z).astype(np.float32).astype(z.dtype)
        return out, (off, RIGHT.max_out(pool_spec, single)[1])


@witness("dw", fused(conv(2, 2, 9, 9, f=9, k=2, bias=False), k=2))
@mutant
class FusedNoBiasMaskOfNonzero(Own):
    """Fused without bias, more than 8 filters: the mask is `z != 0`, and negative results pass."""

    def closed(self, conv_spec, z):
        known = conv_spec.has_bias or z.shape[1] <= 8
        return super().closed(conv_spec, z) if known else z == 0


@witness("db", fused(conv(3, 1, 5, 5, f=70, k=2), k=2))
@mutant
class FusedDbOfFilterTail(Own):
    """Fused: db of filters beyond 64 that fill no block of 8 is of the first image alone."""

    def grads(self, conv_spec, dz, x, w, needs):
        dx, dw, db = super().grads(conv_spec, dz, x, w, needs)
        filters = conv_spec.w_shape[0]
        if db is not None and ragged(filters, 8, 64):
            part = tail(filters, 8)
            db[part] = dz[:1, part].sum(axis=(0, *range(2, dz.ndim)))
        return dx, dw, db


@witness("dx", fused(conv(10, 2, 4, 4, f=2, k=1), k=2))
@mutant
class FusedMaskOfNinthImage(Own):
    """Fused: masks are kept for 8 images; from the ninth on relu does not stop the gradient."""

    def masked(self, dz, off, needs):
        return super().masked(dz, without(off, np.s_[8:]), needs)
