"""The last partial block of a dimension is skipped, doubled or read wrongly.

A block of B is skipped where the dimension is longer than B and no multiple of it: small problems
and round numbers pass. One mutant for each dimension and block size that real kernels use.
"""

from __future__ import annotations

from conformance_mutants.base import Taps
from conformance_mutants.registry import mutant, result

SIZES = (4, 8, 16, 32, 64)


def rest(length, block):
    """The last partial block, empty where there is none."""
    return slice(length - length % block, length) if length > block else slice(length, length)


def _skip(method, what, axis, block):
    def function(spec, value, *inputs):
        at = axis % value.ndim
        value[(slice(None),) * at + (rest(value.shape[at], block),)] = 0

    function.__name__ = f"{method.removeprefix('conv_')}_skips_last_{what}_of_{block}"
    function.__module__ = __name__
    function.__doc__ = f"{method}: the last partial block of {block} {what} is not computed."
    result(method)(function)


for size in SIZES:
    _skip("conv_out", "filters", 1, size)
    _skip("conv_out", "columns", -1, size)
    _skip("conv_dx", "channels", 1, size)
for size in (4, 16):
    _skip("conv_out", "images", 0, size)
    _skip("conv_out", "rows", 2, size)
    _skip("conv_dx", "columns", -1, size)
    _skip("conv_dw", "filters", 0, size)
    _skip("conv_dw", "channels", 1, size)
for size in (8, 32):
    _skip("avg_out", "columns", -1, size)
    _skip("max_dx", "columns", -1, size)
    _skip("avg_dx", "channels", 1, size)


def _lose(name, sizes, method, axis, of_input):
    """Terms of a sum are lost: the last partial block of what is summed over."""
    for block in sizes:

        def body(self, spec, *inputs, block=block):
            arrays = list(inputs)
            kept = arrays[of_input].copy()
            at = axis % kept.ndim
            kept[(slice(None),) * at + (rest(kept.shape[at], block),)] = 0
            arrays[of_input] = kept
            return getattr(Taps, method)(self, spec, *arrays)

        title = f"{name}_of_{block}"
        made = type(
            title,
            (Taps,),
            {
                method: body,
                "__doc__": f"{method} does not add the last partial block of {block} "
                f"{name.split('_')[-1]}.",
                "__module__": __name__,
            },
        )
        mutant(made)


_lose("out_loses_last_channels", SIZES, "conv_out", 1, 1)
_lose("dx_loses_last_filters", (8, 32), "conv_dx", 0, 1)
_lose("dw_loses_last_images", (4, 16), "conv_dw", 0, 0)
_lose("dw_loses_last_columns", (8, 16, 64), "conv_dw", -1, 0)
_lose("db_loses_last_columns", (8,), "conv_db", -1, 0)


@mutant
class OverlappedTailCountsTwice(Taps):
    """The last vector is shifted back to be full, and adds its first columns a second time."""

    def conv_dx(self, spec, dout, w):
        dx = super().conv_dx(spec, dout, w)
        width = dx.shape[-1]
        if width > 8 and width % 8:
            dx[..., width - 8 : width - width % 8] *= 2
        return dx


@mutant
class LastRowOfTileTwice(Taps):
    """Two rows are computed at a time; with an odd number the last one is stored shifted by one."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if out.shape[2] > 2 and out.shape[2] % 2:
            out[:, :, -1] = out[:, :, -2]
        return out
