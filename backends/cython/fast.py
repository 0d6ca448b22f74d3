"""The backend ``cython_fast``: Winograd's convolution where it pays, else ``cython``'s kernels.

Its results are rounded differently from a direct sum's, so it runs only if it is named. The table
says which problems run it. NaN and infinities stay where a direct sum has them, because a call with
a result that is not finite is computed again by the exact kernels.
"""

from __future__ import annotations

from typing import Any

from convkit.contract import hookimpl

from . import CythonBackend
from .table import FAST_KERNELS

__all__ = ["FastBackend", "convkit_backend"]


class FastBackend(CythonBackend):
    """Winograd's F(4x4, 3x3) forward and to x; dw, db, pooling and all else as in ``cython``."""

    name = "cython_fast"
    exact = False
    error_factor = 2.0
    kernels = FAST_KERNELS

    def info(self) -> dict[str, Any]:
        """Dtypes, instruction set and threads, and which problems run Winograd's convolution."""
        return {
            **super().info(),
            "winograd": "forward and dx of 3x3 kernels, stride 1, no dilation, and 16 or more "
            "channels and filters in a group; the kernels of cython for everything else",
        }


@hookimpl
def convkit_backend() -> FastBackend:
    """The plug-in's hook."""
    return FastBackend()
