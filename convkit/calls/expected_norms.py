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
from convkit.calls.expectations import Conv, Expectation, Expected, undecided
from convkit.calls.methods import methods_of
from convkit.calls.norms import expanded, moments, per_channel, row_sums, set_means
from convkit.calls.plan import Plan
from convkit.operations import BATCH_NORM, CONV, Operation
from convkit.registry import Record
from convkit.spec import NormSpec, PoolSpec

if TYPE_CHECKING:
    from convkit.contract import Array

ROUNDINGS = 8.0
"""k: the mean, the deviation, the variance, the root, the quotient, scale, shift and residual."""


class Norm(Expectation):
    """A batch or group normalisation; of x that may be off itself, where it is a part of more."""

    def __init__(self, plan: Plan, record: Record, operation: Operation | None = None) -> None:
        super().__init__(plan, record)
        operation = operation or plan.operation
        self.spec: NormSpec = next(spec for spec in self.specs if isinstance(spec, NormSpec))
        self.methods = methods_of(operation, (self.spec,), record)
        self.names = operation.returned((self.spec,))
        exact = getattr(plan.record.backend, "exact", True)
        factor = 1.0 if exact else float(getattr(plan.record.backend, "error_factor", 1))
        self.ku = 2 * ROUNDINGS * factor * bounds.unit_roundoff(plan.dtype)

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        return self.methods.forward(self.spec, *inputs)[0], self.before_relu(0.0, *inputs)[1]

    def before_relu(self, moved: Any, *inputs: Any) -> Expected:
        """Return what relu gets, where each element of x may be off by ``moved``."""
        x, gamma, beta, residual = inputs[0], inputs[1], inputs[2], inputs[-1]
        with np.errstate(all="ignore"):
            z, error, *_ = self._normal(x, moved, inputs)
            scale = expanded(self.spec, np.abs(gamma))
            plain = z * expanded(self.spec, gamma) + expanded(self.spec, beta)
            size = scale * np.abs(z) + expanded(self.spec, np.abs(beta))
            if residual is not None:
                plain, size = plain + residual, size + np.abs(residual)
            return plain, scale * error + self.ku * size + self._tiny

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of (dx, dgamma, dbeta) and dresidual."""
        return self.gradients_within(dout, 0.0, 0.0, needs, *inputs)

    def gradients_within(
        self, dout: Array, slack: Any, moved: Any, needs: tuple[str, ...], *inputs: Any
    ) -> dict[str, Expected]:
        """Return the gradients where dout may be off by ``slack``, and x by ``moved``."""
        _, saved, *_ = self.methods.forward(self.spec, *inputs)
        found = self.methods.backward(self.spec, dout, *inputs[:3], saved, needs)
        with np.errstate(all="ignore"):
            limits = self._gradient_bounds(dout, slack, moved, *inputs)
        pairs = zip(self.names, found, strict=True)
        return {name: (value, limits[name]) for name, value in pairs if name in needs}

    def _normal(self, x: Array, moved: Any, inputs: tuple[Any, ...]) -> tuple[Array, ...]:
        """Return z, the bound of its error, 1 / sqrt(v + eps) and the bound of its relative one.

        Where x is off by e, the mean is by mean(e), and v by 2 mean(|x - m| e) + mean(e)**2.
        """
        spec = self.spec
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
        error = self.ku * (np.abs(x - mean) + size) * inverse
        if np.any(moved):
            error = error + inverse * moved
            if spec.kind == "group" or spec.training:
                error = error + inverse * self._sets(moved)
                off = inverse * (self._sets(np.abs(z) * moved) + self._sets(moved**2) * inverse)
                relative = relative + np.where(off < 0.25, 2 * off, np.inf)
        error = error + np.abs(z) * relative
        return z, error, np.broadcast_to(inverse, x.shape), relative

    def _sets(self, a: Array) -> Any:
        """Return the mean over each set, as it broadcasts against x."""
        return expanded(self.spec, per_channel(self.spec, set_means(self.spec, row_sums(a))))

    def _gradient_bounds(self, dout: Array, slack: Any, moved: Any, *inputs: Any) -> dict[str, Any]:
        spec, x, gamma = self.spec, inputs[0], np.abs(inputs[1])
        z, error, inverse, relative = self._normal(x, moved, inputs)
        slack = np.broadcast_to(np.asarray(slack, np.float64), x.shape)
        if spec.relu:  # rounding may decide whether a number is above 0
            plain, limit = self.before_relu(moved, *inputs)
            near = ~(np.abs(plain) > limit)
            slack = np.where(near, np.abs(dout) + slack, np.where(plain > 0, slack, 0))
            dout = np.where(plain > 0, dout, 0)
        d, size = np.abs(dout) + slack, np.abs(z)
        growth = bounds.growth(spec.set_size) * 2 * bounds.unit_roundoff(self.plan.dtype)

        def channels(a: Array) -> Any:
            return row_sums(a).sum(axis=0)

        dgamma = channels(slack * size + d * (error + growth * size))
        scaled, loose = d * expanded(spec, gamma), slack * expanded(spec, gamma)
        slope = self._sets(scaled * size)
        off = growth + relative
        dx = scaled * off + loose
        if spec.kind == "group" or spec.training:
            dx = dx + off * (self._sets(scaled) + size * slope) + error * slope
            dx = dx + (size + error) * self._sets(scaled * error)
            dx = dx + (1 + size) * self._sets(loose * (1 + size))
        limits = {
            "dx": dx * inverse,
            "dgamma": dgamma,
            "dbeta": channels(slack + growth * d),
            "dresidual": slack,
        }
        return {name: limit + self._tiny for name, limit in limits.items()}

    @property
    def _tiny(self) -> float:
        return float((self.spec.set_size + 1) * np.finfo(self.plan.dtype).tiny)


class ConvBnRelu(Conv):
    """Each part passes its bound on to the next, and back again in the gradients."""

    needs_inputs = True

    def __init__(self, plan: Plan, record: Record) -> None:
        super().__init__(plan, record)
        self.norm = Norm(plan, record, BATCH_NORM)
        self.pool: PoolSpec | None = self.specs[2] if len(self.specs) > 2 else None

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        z, moved = self._convolved(inputs)
        y, _ = self.norm.out(z, *inputs[3:])
        _, limit = self.norm.before_relu(moved, z, *inputs[3:])
        limit = np.nan_to_num(limit, nan=np.inf, posinf=np.inf)
        if self.pool is None:
            return y, limit
        return tuple(self.backend.pool_forward(self.pool, a)[0] for a in (y, limit))

    def _convolved(self, inputs: tuple[Any, ...]) -> Expected:
        z, moved = super().out(*inputs[:3])
        return z, np.nan_to_num(moved, nan=np.inf, posinf=np.inf)

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of (dx, dw, db, dgamma, dbeta) and dresidual."""
        z, moved = self._convolved(inputs)
        rest = (z, *inputs[3:])
        slack: Any = 0.0
        if self.pool is not None:
            dout, slack = self._unpooled(self.pool, dout, moved, rest)
        wanted = ("dx", *(name for name in needs if name in self.norm.names[1:]))
        of_norm = self.norm.gradients_within(dout, slack, moved, wanted, *rest)
        dz, off = of_norm.pop("dx")
        of_conv = tuple(name for name in needs if name in CONV.gradients)
        found = self.gradients_within(dz, np.nan_to_num(off, nan=np.inf), of_conv, *inputs[:3])
        found |= of_norm
        return {n: (v, np.nan_to_num(b, nan=np.inf, posinf=np.inf)) for n, (v, b) in found.items()}

    def _unpooled(
        self, pool: PoolSpec, dout: Array, moved: Any, rest: tuple[Any, ...]
    ) -> tuple[Array, Array]:
        """Return the pool's dx, and how far it may be off where rounding decides a maximum."""
        y, _ = self.norm.out(*rest)
        plain, limit = self.norm.before_relu(moved, *rest)
        limit = np.nan_to_num(limit, nan=np.inf, posinf=np.inf)
        _, saved = self.backend.pool_forward(pool, y)
        dy = self.backend.pool_backward(pool, dout, saved)
        unclear = undecided(self.backend, pool, plain if self.norm.spec.relu else None, y, limit)
        slack = np.zeros(pool.x_shape)
        for _, outs, ins in pool.taps():
            slack[:, :, *ins] += np.where(unclear, abs(dout), 0)[:, :, *outs]
        return dy, slack
