"""A correct backend with conv_bn_relu of its own, and the decorator that plants bugs in it."""

from __future__ import annotations

import numpy as np

from conformance_mutants.conv_relu_base import planted
from conformance_mutants.norm_base import Norms


class ConvBn(Norms):
    """Correct; forward, inference and backward of conv_bn_relu."""

    # --- the seams of forward ---

    def z(self, conv, x, w, b):
        return self.conv_forward(conv, x, w, b)[0]

    def ended(self, norm, z, gamma, beta, mean, var, residual):
        """Return (out, saved, mean, var) of the normalisation with its residual and relu."""
        return self.computed(norm, z, gamma, beta, mean, var, residual)

    def pooled(self, pool, y):
        return self.pool_forward(pool, y)

    def packed(self, z, saved, winner):
        return z, saved, winner

    def unpacked(self, conv, saved):
        return saved

    def run(self, conv, norm, pool, x, w, b, gamma, beta, mean, var, residual):
        z = self.z(conv, x, w, b)
        out, saved, mean, var = self.ended(norm, z, gamma, beta, mean, var, residual)
        winner = None
        if pool is not None:
            out, winner = self.pooled(pool, out)
        return out, self.packed(z, saved, winner), mean, var

    # --- the seams of backward ---

    def unpooled(self, pool, dout, winner):
        return self.pool_backward(pool, dout, winner)

    def through_norm(self, norm, d, z, gamma, beta, saved, needs):
        """Return dz, dgamma, dbeta and, where there is one, dresidual."""
        return self.gradients(norm, d, z, gamma, beta, saved, needs)

    def through_conv(self, conv, dz, x, w, needs):
        return self.conv_backward(conv, dz, x, w, None, needs)

    # --- the protocol ---

    def conv_bn_relu_forward(self, conv, norm, *rest):
        out, saved, mean, var = self.run(conv, norm, *rest)
        return (out, saved, *self.moved(norm, mean, var)) if norm.training else (out, saved)

    def conv_bn_relu_infer(self, conv, norm, *rest):
        return self.run(conv, norm, *rest)[0]

    def conv_bn_relu_backward(self, conv, norm, pool, dout, x, w, gamma, beta, saved, needs):
        z, kept, winner = self.unpacked(conv, saved)
        d = dout if pool is None else self.unpooled(pool, dout, winner)
        of_conv = tuple(n for n in ("dx", "dw", "db") if n in needs)
        of_norm = tuple(n for n in needs if n not in of_conv) + (("dx",) if of_conv else ())
        dz, *others = self.through_norm(norm, d, z, gamma, beta, kept, of_norm)
        found = self.through_conv(conv, dz, x, w, of_conv) if of_conv else (None, None, None)
        return *found, *others


bug = planted("conv_bn_relu", ConvBn)


def channel(a, values):
    """One value per channel, as it broadcasts against a."""
    return np.asarray(values).reshape(-1, *(1,) * (a.ndim - 2))
