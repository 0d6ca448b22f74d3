"""Right up to rounding, and rounded more than a correct backend may; or non-finite values lost."""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.base import Taps
from conformance_mutants.registry import mutant, result


def rounded(array, dtype):
    """Through a narrower type and back."""
    with np.errstate(over="ignore"):
        return array.astype(dtype).astype(array.dtype)


def bfloat16(array):
    """Cut to 8 bits of significand."""
    bits = array.astype(np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(array.dtype)


@result("conv_out")
def float64_computed_in_float32(spec, out, x, w):
    """float64 input is cast down at the door."""
    return rounded(out, np.float32)


@result("conv_dx")
def dx_of_float64_in_float32(spec, dx, dout, w):
    """dx goes through a float32 workspace."""
    return rounded(dx, np.float32)


@result("conv_dw")
def dw_of_float64_in_float32(spec, dw, dout, x):
    """dw is accumulated in float32."""
    return rounded(dw, np.float32)


@result("conv_db")
def db_of_float64_in_float32(spec, db, dout):
    """db is accumulated in float32."""
    return rounded(db, np.float32)


@result("avg_out")
def average_of_float64_in_float32(spec, out, x):
    """Averages of float64 are computed in float32."""
    return rounded(out, np.float32)


@mutant
class BiasOfFloat64InFloat32(Taps):
    """The bias is kept in float32."""

    def add_bias(self, spec, out, b):
        super().add_bias(spec, out, rounded(b, np.float32))


@mutant
class WeightsInHalf(Taps):
    """Weights are stored in float16 to save memory."""

    def conv_out(self, spec, x, w):
        return super().conv_out(spec, x, rounded(w, np.float16))


@mutant
class WeightsInBfloat16(Taps):
    """Weights are handed to bfloat16 dot products."""

    def conv_out(self, spec, x, w):
        return super().conv_out(spec, x, bfloat16(w))


@mutant
class InputsInTf32(Taps):
    """float32 input is rounded to 10 bits of fraction, as tensor cores do by default."""

    def conv_out(self, spec, x, w):
        if x.dtype == np.float32:
            bits = (x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
            x = np.where(np.isfinite(x), bits.view(np.float32), x)
        return super().conv_out(spec, x, w)


@mutant
class LongSumsInHalf(Taps):
    """Sums of more than 512 terms are split, and the parts kept in float16."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.w_shape[1] * math.prod(spec.kernel) > 512:
            half = x.copy()
            half[:, x.shape[1] // 2 :] = 0
            out -= super().conv_out(spec, half, w) - rounded(
                super().conv_out(spec, half, w), np.float16
            )
        return out


@mutant
class LongSumsOfFloat64InFloat32(Taps):
    """Sums of more than 512 terms go through a float32 accumulator."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        long = spec.w_shape[1] * math.prod(spec.kernel) > 512
        return rounded(out, np.float32) if long else out


@mutant
class WinogradSaysExact(Taps):
    """3x3 by a fast algorithm that rounds intermediate values, not declared as such."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.kernel == (3, 3) and spec.stride == spec.dilation == (1, 1) and out.size:
            noise = 12 * np.finfo(out.dtype).eps * np.nanmax(np.abs(out))
            out += noise * np.where(np.arange(out.size) % 2, 1, -1).reshape(out.shape)
        return out


@mutant
class FftSaysExact(Taps):
    """Large kernels by FFT: the error follows the largest output, not the element's own."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if math.prod(spec.kernel) >= 9 and out.size and np.isfinite(out).all():
            shape = out.shape[2:]
            axes = tuple(range(2, out.ndim))
            out = np.fft.irfftn(np.fft.rfftn(out, axes=axes), s=shape, axes=axes)
            out = out.astype(spec.dtype)
        return out


@mutant
class InexactAndFarOff(Taps):
    """Declared inexact with the largest factor, and wrong in the third digit."""

    exact = False
    error_factor = 32

    def conv_out(self, spec, x, w):
        return super().conv_out(spec, x, w) * spec.dtype.type(1.001)


@mutant
class TruncatedTowardsZero(Taps):
    """Every product is rounded towards zero to 20 bits, so that errors add up."""

    def conv_out(self, spec, x, w):
        if spec.dtype == np.float32:
            bits = w.view(np.uint32) & np.uint32(0xFFFFFFF0)
            w = bits.view(np.float32)
        return super().conv_out(spec, x, w)


@result("conv_out")
def nan_leaks_to_neighbours(spec, out, x, w):
    """Windows are masked by multiplying with 0, so a NaN spoils the next output as well."""
    bad = np.isnan(out)
    out[..., 1:][bad[..., :-1]] = np.nan


@result("conv_out")
def nan_leaks_to_whole_tile(spec, out, x, w):
    """A transform of tiles of 4 columns spreads a NaN over the tile."""
    for start in range(0, out.shape[-1], 4):
        tile = out[..., start : start + 4]
        tile[np.isnan(tile).any(axis=-1)] = np.nan


@mutant
class NanTakenForZero(Taps):
    """NaN in x is cleaned away."""

    def conv_out(self, spec, x, w):
        return super().conv_out(spec, np.where(np.isnan(x), 0, x), w)


@mutant
class InfinityTakenForLargest(Taps):
    """Infinities are clipped to the largest finite number (saturating arithmetic)."""

    def conv_out(self, spec, x, w):
        largest = np.finfo(x.dtype).max
        return np.nan_to_num(
            super().conv_out(spec, x, w), nan=np.nan, posinf=largest, neginf=-largest
        )


@result("conv_out")
def infinity_becomes_nan(spec, out, x, w):
    """A number is split in a high and a low part; inf - inf is NaN."""
    out[np.isinf(out)] = np.nan


@mutant
class DwPadsWithZeroTimesInfinity(Taps):
    """dw multiplies padding, kept as zeros, with dout: an infinite dout at the border gives NaN."""

    def conv_dw(self, spec, dout, x):
        dw = super().conv_dw(spec, dout, x)
        full = tuple(range(2, dout.ndim))
        for tap, outs, _ in spec.taps():
            rest = dout.copy()
            rest[:, :, *outs] = 0
            bad = ~np.isfinite(rest).all(axis=(0, *full))
            dw[bad, :, *tap] = np.nan
        return dw


@mutant
class DxSkipsNanGradients(Taps):
    """dx leaves out gradients that compare false with everything."""

    def conv_dx(self, spec, dout, w):
        return super().conv_dx(spec, np.where(np.isnan(dout), 0, dout), w)


@mutant
class DbSkipsNan(Taps):
    """db uses a sum that ignores NaN."""

    def conv_db(self, spec, dout):
        return np.nansum(dout, axis=(0, *range(2, dout.ndim)))


@mutant
class OnlyFloat32IsTested(Taps):
    """The float64 instantiation has the kernel's loop bound from float32's vector."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.dtype == np.float64 and out.shape[-1] > 4:
            out[..., 4] = 0
        return out


@mutant
class OnlyFloat64IsTested(Taps):
    """float32 columns from the 9th on are stored one place early."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.dtype == np.float32 and out.shape[-1] > 9:
            out[..., 8] = out[..., 9]
        return out
