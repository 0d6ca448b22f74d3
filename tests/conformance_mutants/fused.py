"""conv - relu - max pool in one pass, and the methods for inference: they drift from the parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Fused, Inference
from conformance_mutants.registry import mutant


@mutant
class FusedReluPassesZero(Fused):
    """The fused relu has derivative 1 at 0."""

    def off(self, z):
        return ~(z >= 0)


@mutant
class FusedReluDropsNan(Fused):
    """max(NaN, 0) is 0 in the order the vector instruction takes its operands."""

    def relu(self, z):
        return np.fmax(z, 0)


@mutant
class FusedNanPassesGradient(Fused):
    """The mask is `z <= 0`, which is false for NaN: its gradient passes."""

    def off(self, z):
        return z <= 0


@mutant
class FusedMaskForgotten(Fused):
    """Backward does not know that relu was there."""

    def mask(self, dz, off):
        return dz


@mutant
class FusedMaskByProduct(Fused):
    """The gradient is multiplied by the mask: an infinite one becomes NaN."""

    def mask(self, dz, off):
        with np.errstate(invalid="ignore"):
            return dz * ~off


@mutant
class FusedReluBeforeBias(Fused):
    """relu is applied before the bias is added."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        z, _ = self.conv_forward(conv_spec, x, w, None)
        z = self.relu(z)
        if b is not None:
            self.add_bias(conv_spec, z, b)
        out, winner = self.pool_forward(pool_spec, z)
        return out, (self.off(z), winner)


@mutant
class FusedNoRelu(Fused):
    """Pooling starts from 0, and so relu is left out: it starts from -inf."""

    def relu(self, z):
        return z


@mutant
class FusedDbUnmasked(Fused):
    """db adds up dout, not what comes through pooling and relu."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)
        return dx, dw, None if db is None else dout.sum(axis=(0, *range(2, dout.ndim)))


@mutant
class FusedPoolStrideIgnored(Fused):
    """The fused pool has stride = kernel built in."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        return super().conv_relu_pool_forward(
            conv_spec, replace(pool_spec, stride=pool_spec.kernel), x, w, b
        )


@mutant
class FusedPoolPadIgnored(Fused):
    """The fused pool knows no padding."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        pad = ((0, 0),) * pool_spec.axes
        return super().conv_relu_pool_forward(conv_spec, replace(pool_spec, pad=pad), x, w, b)


@mutant
class FusedPoolAssignsOnOverlap(Fused):
    """The fused backward assigns where pooling windows overlap."""

    def max_dx(self, spec, dout, winner):
        dx = np.zeros(spec.x_shape, spec.dtype)
        for i, (_, outs, ins) in enumerate(spec.taps()):
            np.copyto(dx[:, :, *ins], dout[:, :, *outs], where=winner[:, :, *outs] == i)
        return dx

    def pool_backward(self, spec, dout, saved):
        return (
            Fused.max_dx(self, spec, dout, saved) if spec.kind == "max" else self.avg_dx(spec, dout)
        )

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        off, winner = saved
        dz = self.mask(self.max_dx(pool_spec, dout, winner), off)
        return self.conv_backward(conv_spec, dz, x, w, None, needs)


@mutant
class FusedUnmaskedForDxAlone(Fused):
    """When dx alone is wanted, the pass that masks is skipped with that for dw."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        off, winner = saved
        if needs == ("dx",):
            off = np.zeros_like(off)
        return super().conv_relu_pool_backward(
            conv_spec, pool_spec, dout, x, w, (off, winner), needs
        )


@mutant
class FusedIgnoresGroups(Fused):
    """The fused pass runs with the first group's channels for all."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        per_group = conv_spec.w_shape[1]
        first = np.tile(x[:, :per_group], (1, conv_spec.groups, *(1,) * conv_spec.axes))
        return super().conv_relu_pool_forward(conv_spec, pool_spec, first, w, b)


@mutant
class FusedWithoutBiasCrashes(Fused):
    """b is None is not thought of."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        _ = b.shape
        return super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)


@mutant
class FusedMaskOnSelf(Fused):
    """The mask is kept on the backend: the latest forward's serves every backward."""

    latest = None

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, (off, winner) = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        self.latest = off
        return out, winner

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        return super().conv_relu_pool_backward(
            conv_spec, pool_spec, dout, x, w, (self.latest, saved), needs
        )


@mutant
class InferenceDropsBias(Inference):
    """conv_infer forgets the bias."""

    def conv_infer(self, spec, x, w, b):
        return self.conv_forward(spec, x, w, None)[0]


@mutant
class InferenceIgnoresDilation(Inference):
    """conv_infer has no dilation."""

    def conv_infer(self, spec, x, w, b):
        return self.conv_forward(replace(spec, dilation=(1,) * spec.axes), x, w, b)[0]


@mutant
class InferenceMaxDropsNan(Inference):
    """pool_infer, without a winner to record, uses a maximum that drops NaN."""

    def pool_infer(self, spec, x):
        if spec.kind == "avg":
            return super().pool_infer(spec, x)
        out = np.full(spec.out_shape, -np.inf, spec.dtype)
        for _, outs, ins in spec.taps():
            np.fmax(out[:, :, *outs], x[:, :, *ins], out=out[:, :, *outs])
        return out


@mutant
class InferenceAverageCountsPadding(Inference):
    """pool_infer divides by the window's size."""

    def pool_infer(self, spec, x):
        if spec.kind == "avg":
            spec = replace(spec, count_include_pad=True)
        return super().pool_infer(spec, x)


@mutant
class InferenceReusesOutput(Inference):
    """conv_infer returns one buffer again and again."""

    buffers = None

    def conv_infer(self, spec, x, w, b):
        out = super().conv_infer(spec, x, w, b)
        self.buffers = self.buffers or {}
        kept = self.buffers.setdefault((out.shape, out.dtype), out)
        kept[:] = out
        return kept
