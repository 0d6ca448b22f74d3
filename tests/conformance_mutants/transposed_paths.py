"""Transposed convolutions that are wrong in inference alone, in what they keep, or by precision."""

from __future__ import annotations

import numpy as np

from conformance_mutants.transposed_base import replaced, transposed_bug


@replaced("conv_transpose_infer")
def inference_without_bias(self, right, spec, x, w, b):
    """The inference path forgets the bias in groups."""
    return right(spec, x, w, b if spec.groups == 1 else None)


@transposed_bug("conv_transpose_infer")
def inference_skips_the_last_columns(spec, out, x, w, b):
    """The inference path leaves the columns that fill no block of 8 at the bias."""
    wide = out.shape[-1]
    if wide > 8 and wide % 8:
        out[..., wide - wide % 8 :] = 0


@transposed_bug("conv_transpose_infer")
def inference_loses_nan(spec, out, x, w, b):
    """The inference path skips a product that is not a number."""
    return np.nan_to_num(out, nan=0.0, posinf=np.inf, neginf=-np.inf)


@replaced("conv_transpose_infer")
def inference_of_nothing(self, right, spec, x, w, b):
    """N = 0 raises in inference."""
    if not len(x):
        raise ZeroDivisionError("division by zero")
    return right(spec, x, w, b)


@replaced("t_out")
def half_precision_accumulator(self, right, spec, x, w):
    """Sums of float32 products pass through float16 where there are more than 64 channels."""
    out = right(spec, x, w)
    return out.astype(np.float16).astype(out.dtype) if x.shape[1] > 64 else out


@replaced("t_out", "t_dx")
def float64_in_float32(self, right, spec, a, w):
    """float64 passes through float32, forward and in dx."""
    return right(spec, a.astype(np.float32), w.astype(np.float32)).astype(spec.dtype)


@transposed_bug("t_dw")
def float64_dw_in_float32(spec, dw, dout, x):
    """float64 dw is rounded to float32."""
    return dw.astype(np.float32).astype(dw.dtype)


@replaced("t_out")
def zero_pixels_skipped(self, right, spec, x, w):
    """A weight of 0 is skipped, and with it the NaN that it meets."""
    out = right(spec, x, w)
    if np.isnan(x).any() and not w.all():
        return right(spec, np.nan_to_num(x, nan=0.0), w)
    return out


@replaced("whole")
def result_in_a_buffer(self, right, spec, x, w, b):
    """out lies in a buffer of the backend, one for each shape."""
    buffers = vars(self).setdefault("buffers", {})
    out = buffers.setdefault((spec.out_shape, spec.dtype), np.empty(spec.out_shape, spec.dtype))
    out[...] = right(spec, x, w, b)
    return out


@replaced("conv_transpose_backward")
def weights_remembered(self, right, spec, dout, x, w, saved, needs):
    """backward remembers the weights by their shape."""
    known = vars(self).setdefault("known", {})
    w = known.setdefault((w.shape, w.dtype), w.copy())
    return right(spec, dout, x, w, saved, needs)


@replaced("t_out")
def geometry_remembered_by_shape(self, right, spec, x, w):
    """Dilation and groups are those of the first call with these shapes."""
    known = vars(self).setdefault("known", {})
    first = known.setdefault((spec.x_shape, spec.w_shape, spec.out_shape), spec)
    return right(first, x, w)


@replaced("conv_transpose_backward")
def only_dx_is_another(self, right, spec, dout, x, w, saved, needs):
    """dx wanted alone is that of the flipped kernel."""
    if needs == ("dx",):
        flip = (slice(None, None, -1),) * len(spec.kernel)
        return right(spec, dout, x, np.ascontiguousarray(w[:, :, *flip]), saved, needs)
    return right(spec, dout, x, w, saved, needs)


@replaced("conv_transpose_backward")
def writes_to_dout(self, right, spec, dout, x, w, saved, needs):
    """dout is scaled in place and not back."""
    found = right(spec, dout, x, w, saved, needs)
    dout *= 2
    return found


@replaced("t_dw")
def adds_to_what_is_there(self, right, spec, dout, x):
    """dw adds to the one before, as a training loop's accumulator."""
    sums = vars(self).setdefault("sums", {})
    key = (spec.w_shape, spec.dtype)
    sums[key] = sums.get(key, 0) + right(spec, dout, x)
    return sums[key].copy()


@transposed_bug("t_out")
def zero_stuffing_in_sixteen_bits(spec, out, x, w):
    """Indices of the stuffed image are kept in 16 bits."""
    stuffed = [(n - 1) * s + 1 for n, s in zip(spec.x_shape[2:], spec.stride, strict=True)]
    if np.prod(stuffed) > 65_536:
        out.reshape(*out.shape[:2], -1)[..., 65_536:] = 0
