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
        out = self.empty(spec.out_shape, spec.dtype)
        self.plan(spec.adjoint).backward_x(_extended(spec, x), w, out)
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
        plan = self.plan(spec.adjoint)
        dx = dw = db = None
        if "dx" in needs:
            dx = self.empty(spec.adjoint.out_shape, spec.dtype)
            plan.forward(dout, w, None, dx, False)
            if dx.shape != spec.x_shape:
                dx = np.ascontiguousarray(dx[:, :, *(slice(n) for n in spec.x_shape[2:])])
        if "dw" in needs:
            dw = self.empty(spec.w_shape, spec.dtype)
            plan.backward_w(_extended(spec, x), dout, dw, None)
        if "db" in needs:
            sums = dout.sum(axis=tuple(range(2, dout.ndim)), dtype=np.float64)
            db = sums.sum(axis=0).astype(spec.dtype)
        return dx, dw, db


def _extended(spec: ConvTransposeSpec, x: Array) -> Array:
    """Return x with zeros at its end, where output padding reaches the stride."""
    shape = spec.adjoint.out_shape
    if shape == x.shape:
        return x
    return np.pad(x, [(0, wide - size) for wide, size in zip(shape, x.shape, strict=True)])
