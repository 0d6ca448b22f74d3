"""A convolution and its relu: forward in the convolution's epilogue.

What is saved for backward is a bit for each result: whether it was above 0.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.spec import ConvSpec

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Bits: TypeAlias = npt.NDArray[np.uint8]


class Activated:
    """The methods of ``conv_relu``, for a backend with convolution plans."""

    plan: Any
    empty: Any
    conv_backward: Any

    def conv_relu_forward(
        self, spec: ConvSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, Bits]:
        """Return (out, saved)."""
        out = self.conv_relu_infer(spec, x, w, b)
        bits = self.empty((-(-prod(spec.out_shape) // 16) * 2,), np.uint8)
        self.plan(spec).positive(out, bits)
        return out, bits

    def conv_relu_infer(self, spec: ConvSpec, x: Array, w: Array, b: Array | None) -> Array:
        """Return out."""
        out = self.empty(spec.out_shape, spec.dtype)
        self.plan(spec).forward(x, w, b, out, True)
        return out

    def conv_relu_backward(
        self, spec: ConvSpec, dout: Array, x: Array, w: Array, saved: Bits, needs: tuple[str, ...]
    ) -> Any:
        """Return the gradients ``needs`` names, None for the others."""
        dz = self.empty(dout.shape, dout.dtype)
        self.plan(spec).passed(dout, saved, dz)
        return self.conv_backward(spec, dz, x, w, None, needs)
