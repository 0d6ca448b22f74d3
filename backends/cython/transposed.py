"""Transposed convolution by the convolution's own kernels: no zeros are inserted into x.

Forward is the dx kernel of the convolution whose adjoint it is, dx its forward kernel, and dw its
dw kernel with the two arrays exchanged.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.spec import ConvTransposeSpec

Array: TypeAlias = npt.NDArray[np.floating[Any]]


class Transposed:
    """The methods of ``conv_transpose``, for a backend with convolution plans."""

    plan: Any
    empty: Any

    def conv_transpose_forward(
        self, spec: ConvTransposeSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, None]:
        """Return ``out``; nothing is saved."""
        return self.conv_transpose_infer(spec, x, w, b), None

    def conv_transpose_infer(
        self, spec: ConvTransposeSpec, x: Array, w: Array, b: Array | None
    ) -> Array:
        """Return ``out``."""
        conv = spec.adjoint
        inner = self.empty(conv.x_shape, spec.dtype)
        self.plan(conv).backward_x(x, w, inner)
        out = spec.placed(inner)
        if b is not None:
            out += b.reshape(-1, *(1,) * spec.axes)
        return out

    def conv_transpose_backward(
        self,
        spec: ConvTransposeSpec,
        dout: Array,
        x: Array,
        w: Array,
        saved: None,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return the gradients ``needs`` names, None for the others."""
        plan, inner = self.plan(spec.adjoint), spec.cropped(dout)
        dx = dw = db = None
        if "dx" in needs:
            dx = self.empty(spec.x_shape, spec.dtype)
            plan.forward(inner, w, None, dx, False)
        if "dw" in needs:
            dw = self.empty(spec.w_shape, spec.dtype)
            plan.backward_w(x, inner, dw, None)
        if not spec.meets:
            dx, dw = (None if found is None else np.zeros_like(found) for found in (dx, dw))
        if "db" in needs:
            sums = dout.sum(axis=tuple(range(2, dout.ndim)), dtype=np.float64)
            db = sums.sum(axis=0).astype(spec.dtype)
        return dx, dw, db
