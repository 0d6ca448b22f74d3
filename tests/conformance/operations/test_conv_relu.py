"""Faults planted in a backend's conv_relu are found by the suite, each by the check that should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convkit import conformance, registry


def base() -> type:
    return type(registry.load("im2col_numpy").backend)


class Right:
    """conv_relu from the convolution, without a fault."""

    name = "planted"

    def passes(self, z: Any) -> Any:
        return z > 0

    def relu(self, z: Any) -> Any:
        return np.maximum(z, 0)

    def gradient(self, dout: Any, on: Any) -> Any:
        return np.where(on, dout, 0).astype(dout.dtype)

    def conv_relu_forward(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
        z, saved = self.conv_forward(spec, x, w, b)  # type: ignore[attr-defined]
        return self.relu(z), (self.passes(z), saved)

    def conv_relu_infer(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
        return self.conv_relu_forward(spec, x, w, b)[0]

    def conv_relu_backward(
        self, spec: Any, dout: Any, x: Any, w: Any, saved: Any, needs: Any
    ) -> Any:
        on, inner = saved
        dz = self.gradient(dout, on)
        return self.conv_backward(spec, dz, x, w, inner, needs)  # type: ignore[attr-defined]


class GradientAtZero(Right):
    """The derivative at 0 is 1."""

    def passes(self, z: Any) -> Any:
        return z >= 0


class GradientEverywhere(Right):
    """backward forgets relu."""

    def passes(self, z: Any) -> Any:
        return np.ones(z.shape, bool)


class NoReluInInference(Right):
    """The inference path lacks the epilogue."""

    def conv_relu_infer(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
        return self.conv_forward(spec, x, w, b)[0]  # type: ignore[attr-defined]


class Product(Right):
    """An infinite gradient times 0."""

    def gradient(self, dout: Any, on: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return dout * on.astype(dout.dtype)


class LosesNan(Right):
    """A comparison that NaN fails makes it 0."""

    def relu(self, z: Any) -> Any:
        return np.where(z > 0, z, 0).astype(z.dtype)


class MaskOfFirstImage(Right):
    """Every image gets the mask of the first."""

    def passes(self, z: Any) -> Any:
        return np.broadcast_to((z > 0)[:1], z.shape)


class LastBitsLost(Right):
    """A mask of whole bytes: results behind the last whole one are taken to be off."""

    def passes(self, z: Any) -> Any:
        on = (z > 0).ravel()
        on[on.size // 8 * 8 :] = False
        return on.reshape(z.shape)


FAULTS = {
    GradientAtZero: "ties",
    GradientEverywhere: "backward-exact",
    NoReluInInference: "infer",
    Product: "nonfinite",
    LosesNan: "nonfinite",
    MaskOfFirstImage: "backward-exact",
    LastBitsLost: "backward-exact",
}


def failed(kind: type, *checks: str) -> set[str]:
    backend = type(kind.__name__, (kind, base()), {})()
    report = conformance.run(backend, "quick", ops=["conv_relu"], checks=list(checks), maxfail=1)
    return set(report.failed_checks())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found(fault: type) -> None:
    assert failed(fault, FAULTS[fault]) == {FAULTS[fault]}


def test_without_a_fault_nothing_is_found() -> None:
    assert not failed(Right, *sorted(set(FAULTS.values())), "separated")
