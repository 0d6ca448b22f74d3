"""What a reference backend expects of a normalisation, and how far a result may be from it.

With m and v the mean and variance of a set, A the mean of |x| over it, u the unit roundoff and k a
small constant, a backend whose sums do not lose digits with their length has
|m' - m| <= k u A and |v' - v| <= k u v + (k u m)**2. So for z = (x - m) / sqrt(v + eps):

    |z' - z| <= k u (|x - m| + A) / sqrt(v + eps) + |z| * r,   r = k u + (k u m)**2 / (v + eps)

and out, dgamma and dx are off by what follows from that and from their own sums (Higham, "Accuracy
and Stability of Numerical Algorithms", sections 1.9 and 3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convkit import bounds
from convkit.calls.expectations import Expectation, Expected
from convkit.calls.methods import methods_of
from convkit.calls.norms import expanded, moments, per_channel, row_sums, set_means
from convkit.calls.plan import Plan
from convkit.registry import Record

if TYPE_CHECKING:
    from convkit.contract import Array

ROUNDINGS = 8.0
"""k: the mean, the deviation, the variance, the root, the quotient, scale, shift and residual."""


class Norm(Expectation):
    """A batch or group normalisation."""

    def __init__(self, plan: Plan, record: Record) -> None:
        super().__init__(plan, record)
        self.methods = methods_of(plan.operation, self.specs, record)
        exact = getattr(plan.record.backend, "exact", True)
        factor = 1.0 if exact else float(getattr(plan.record.backend, "error_factor", 1))
        self.ku = 2 * ROUNDINGS * factor * bounds.unit_roundoff(plan.dtype)

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        x, gamma, beta, residual = inputs[0], inputs[1], inputs[2], inputs[-1]
        found = self.methods.forward(*self.specs, *inputs)
        with np.errstate(all="ignore"):
            z, error, _ = self._normal(x, inputs)
            scale = expanded(self.specs[0], np.abs(gamma))
            size = scale * np.abs(z) + expanded(self.specs[0], np.abs(beta))
            size = size if residual is None else size + np.abs(residual)
            return found[0], scale * error + self.ku * size + self._tiny

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of (dx, dgamma, dbeta) and dresidual."""
        out, saved, *_ = self.methods.forward(*self.specs, *inputs)
        kept = inputs[:3]
        found = self.methods.backward(*self.specs, dout, *kept, saved, needs)
        names = self.plan.returned
        with np.errstate(all="ignore"):
            limits = self._gradient_bounds(dout, out, *inputs)
        pairs = zip(names, found, strict=True)
        return {name: (value, limits[name]) for name, value in pairs if name in needs}

    def _normal(self, x: Array, inputs: tuple[Any, ...]) -> tuple[Array, Array, Array]:
        """Return z, the bound of its error, and 1 / sqrt(v + eps) as it broadcasts against x."""
        spec = self.specs[0]
        if spec.kind == "batch" and not spec.training:
            mean, var = inputs[3], inputs[4]
            size = np.abs(mean)
        else:
            mean, var = moments(spec, x)
            size = set_means(spec, row_sums(np.abs(x)))
        inverse = 1 / np.sqrt(var + spec.eps)
        relative = self.ku + np.square(self.ku * mean * inverse)
        wide = [expanded(spec, per_channel(spec, a)) for a in (mean, inverse, relative, size)]
        mean, inverse, relative, size = wide
        z = (x - mean) * inverse
        error = self.ku * (np.abs(x - mean) + size) * inverse + np.abs(z) * relative
        return z, error, np.broadcast_to(inverse, x.shape)

    def _gradient_bounds(self, dout: Array, out: Array, *inputs: Any) -> dict[str, Any]:
        spec, x, gamma = self.specs[0], inputs[0], inputs[1]
        z, error, inverse = self._normal(x, inputs)
        slack = np.zeros(x.shape)
        if spec.relu:  # rounding may decide whether a number is above 0
            residual = inputs[-1]
            plain = self._before_relu(z, gamma, inputs[2], residual)
            slack = np.where(np.abs(plain) <= self.out(*inputs)[1], np.abs(dout), 0)
            dout = np.where(out > 0, dout, 0)
        d, size = np.abs(dout) + slack, np.abs(z)
        growth = bounds.growth(spec.set_size) * 2 * bounds.unit_roundoff(self.plan.dtype)

        def channels(a: Array) -> Any:
            return row_sums(a).sum(axis=0)

        def sets(a: Array) -> Any:
            return expanded(spec, per_channel(spec, set_means(spec, row_sums(a))))

        dgamma = channels(slack * size + d * (error + growth * size))
        scaled = d * expanded(spec, np.abs(gamma))
        slope = sets(scaled * size)
        moved = growth + self.ku
        dx = scaled * moved + slack * expanded(spec, np.abs(gamma))
        if spec.kind == "group" or spec.training:
            wobble = sets(slack * expanded(spec, np.abs(gamma)) * (1 + size))
            dx = dx + moved * (sets(scaled) + size * slope) + error * slope
            dx = dx + (size + error) * sets(scaled * error) + (1 + size) * wobble
        limits = {
            "dx": dx * inverse,
            "dgamma": dgamma,
            "dbeta": channels(slack + growth * d),
            "dresidual": slack,
        }
        return {name: limit + self._tiny for name, limit in limits.items()}

    def _before_relu(self, z: Array, gamma: Array, beta: Array, residual: Any) -> Array:
        spec = self.specs[0]
        plain: Array = z * expanded(spec, gamma) + expanded(spec, beta)
        return plain if residual is None else plain + residual

    @property
    def _tiny(self) -> float:
        return float((self.specs[0].set_size + 1) * np.finfo(self.plan.dtype).tiny)
