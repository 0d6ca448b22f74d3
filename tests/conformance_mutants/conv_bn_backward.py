"""conv_bn_relu with a wrong gradient or wrong state; out is right."""

from __future__ import annotations

import dataclasses

import numpy as np

from conformance_mutants.conv_bn_base import bug, channel

# --- relu and pool --------------------------------------------------------------------------


@bug("behind_relu")
def mask_forgotten(norm, value, dout, positive):
    """Backward does not know that relu was there."""
    return dout.copy()


@bug("behind_relu")
def mask_by_product(norm, value, dout, positive):
    """An infinite gradient times 0 is NaN."""
    return (dout * positive).astype(dout.dtype)


@bug("behind_relu")
def mask_in_whole_bytes(norm, value, dout, positive):
    """Results behind the last whole byte of bits are taken to be off."""
    value.reshape(-1)[value.size // 8 * 8 :] = 0


@bug("positive")
def derivative_at_zero(norm, value, out):
    """The derivative at 0 is 1."""
    return out >= 0


@bug("positive")
def nan_passes(norm, value, out):
    """The mask is not (out <= 0), which is true for NaN."""
    return ~(out <= 0)


@bug("pooled")
def last_of_equal_maxima(backend, right, pool, y):
    """Of equal maxima the last takes the gradient."""
    out, winner = right(pool, y)
    axes = tuple(range(2, y.ndim))
    if pool.kernel != pool.stride or any(map(any, pool.pad)) or max(pool.dilation) > 1:
        return out, winner
    sizes = [n // k * k for n, k in zip(y.shape[2:], pool.kernel, strict=True)]
    if any(
        n // k != o for n, k, o in zip(y.shape[2:], pool.kernel, pool.out_shape[2:], strict=True)
    ):
        return out, winner
    inside = y[:, :, *(slice(n) for n in sizes)]
    _, turned = right(_of(pool, sizes), np.ascontiguousarray(np.flip(inside, axes)))
    return out, np.flip(int(np.prod(pool.kernel)) - 1 - turned, axes)


def _of(pool, sizes):
    """The same pool on an image of other sizes."""
    return dataclasses.replace(pool, x_shape=(*pool.x_shape[:2], *sizes))


@bug("unpooled")
def argmax_in_a_byte(backend, right, pool, dout, winner):
    """The place in the window is kept in a byte, also for windows of more than 256 values."""
    return right(pool, dout, winner & 255)


@bug("unpooled")
def argmax_in_two_bits(backend, right, pool, dout, winner):
    """The place in the window is kept in two bits, as windows of 2x2 need."""
    return right(pool, dout, winner & 3)


@bug("unpooled")
def overlaps_overwrite(pool, value, dout, winner):
    """A pixel that wins two windows gets no more than the largest gradient of dout."""
    return np.clip(value, -np.abs(dout).max(initial=0), np.abs(dout).max(initial=0))


@bug("unpooled")
def leftover_columns(pool, value, dout, winner):
    """Columns that no window of 2 holds get what the column before them got."""
    if pool.kernel[-1] == pool.stride[-1] == 2 and value.shape[-1] % 2 and value.shape[-1] > 1:
        value[..., -1] = value[..., -2]


# --- the norm -------------------------------------------------------------------------------


@bug("dx")
def as_if_frozen(backend, right, norm, d, z, gamma, inverse):
    """dz lacks both means, as if the statistics did not depend on z."""
    return channel(d, gamma.astype(np.float64) * inverse) * d


@bug("dx")
def frozen_as_in_training(backend, right, norm, d, z, gamma, inverse):
    """With running statistics the means are taken off all the same."""
    if norm.training or not d.size:
        return right(norm, d, z, gamma, inverse)
    axes = (0, *range(2, d.ndim))
    scaled = channel(d, gamma.astype(np.float64)) * d
    part = scaled.mean(axis=axes, keepdims=True)
    return (scaled - part) * channel(d, inverse)


@bug("dx")
def without_the_mean(backend, right, norm, d, z, gamma, inverse):
    """dz lacks the mean of dout alone."""
    value = right(norm, d, z, gamma, inverse)
    if norm.training and d.size:
        scaled = channel(d, gamma.astype(np.float64)) * d
        value = value + channel(d, inverse) * scaled.mean(
            axis=(0, *range(2, d.ndim)), keepdims=True
        )
    return value


@bug("dx")
def without_the_product(backend, right, norm, d, z, gamma, inverse):
    """dz lacks the mean of dout times the normalised value."""
    value = right(norm, d, z, gamma, inverse)
    if norm.training and d.size:
        scaled = channel(d, gamma.astype(np.float64)) * d
        share = (scaled * z).mean(axis=(0, *range(2, d.ndim)), keepdims=True)
        value = value + channel(d, inverse) * z * share
    return value


@bug("dx")
def gamma_forgotten(backend, right, norm, d, z, gamma, inverse):
    """dz is not scaled by gamma."""
    return right(norm, d, z, np.ones_like(gamma), inverse)


@bug("dgamma")
def dgamma_of_all_that_came(norm, value, d, z):
    """dgamma leaves out the last row of each image."""
    if d.ndim == 4 and d.shape[2] > 1:
        return (d * z)[:, :, :-1].sum(axis=(0, 2, 3))
    return None


@bug("through_norm")
def dgamma_of_z(norm, value, d, z, gamma, beta, saved, needs):
    """dgamma sums dout times z as it is, not normalised."""
    if "dgamma" not in needs:
        return value
    d = d if saved[2] is None else np.where(saved[2], d, 0)
    total = (d * z).sum(axis=(0, *range(2, d.ndim)), dtype=np.float64)
    return value[0], total.astype(norm.dtype), *value[2:]


@bug("through_norm")
def dbeta_unmasked(norm, value, d, z, gamma, beta, saved, needs):
    """dbeta sums what came, not what relu passed."""
    if "dbeta" not in needs:
        return value
    total = d.sum(axis=(0, *range(2, d.ndim)), dtype=np.float64)
    return *value[:2], total.astype(norm.dtype), *value[3:]


@bug("through_norm")
def dresidual_unmasked(norm, value, d, z, gamma, beta, saved, needs):
    """dresidual is what came, not what relu passed."""
    return (*value[:3], d.copy()) if "dresidual" in needs else value


@bug("dresidual")
def dresidual_is_dz(norm, value, d):
    """dresidual is scaled as dz is: here by 2."""
    return value * 2


@bug("dresidual")
def dresidual_of_whole_blocks(norm, value, d):
    """dresidual's last elements, behind the last whole block of 16, are not written: here 0."""
    value.reshape(-1)[value.size // 16 * 16 :] = 0


# --- the convolution ------------------------------------------------------------------------


@bug("through_conv")
def db_is_zero(backend, right, conv, dz, x, w, needs):
    """db is 0, which is right in training alone."""
    dx, dw, db = right(conv, dz, x, w, needs)
    return dx, dw, None if db is None else np.zeros_like(db)


@bug("through_norm")
def dz_in_half_the_precision(norm, value, d, *rest):
    """dz of float64 is kept in float32."""
    dz, *others = value
    return (None if dz is None else dz.astype(np.float32).astype(norm.dtype)), *others


@bug("conv_bn_relu_backward")
def dw_alone_is_of_dout(backend, right, conv, norm, pool, dout, x, w, gamma, beta, saved, needs):
    """Where dx is not wanted, the pass that makes dz is left out."""
    found = right(conv, norm, pool, dout, x, w, gamma, beta, saved, needs)
    if "dx" in needs or "dw" not in needs or pool is not None:
        return found
    return None, backend.conv_dw(conv, dout, x), *found[2:]


@bug("conv_bn_relu_backward")
def sums_only_with_dx(backend, right, conv, norm, pool, dout, x, w, gamma, beta, saved, needs):
    """dgamma comes with the sums of dz, and is 0 where no gradient of the convolution is wanted."""
    found = list(right(conv, norm, pool, dout, x, w, gamma, beta, saved, needs))
    if not {"dx", "dw", "db"} & set(needs) and found[3] is not None:
        found[3] = np.zeros_like(found[3])
    return tuple(found)


# --- state ----------------------------------------------------------------------------------


@bug("unpacked")
def z_of_the_last_call(backend, right, conv, saved):
    """z is kept in the backend by the problem: that of the first call."""
    z, *rest = saved
    return vars(backend).setdefault("kept", {}).setdefault(conv, z), *rest


@bug("through_norm")
def backward_writes_over_z(norm, value, d, z, gamma, beta, saved, needs):
    """dz is computed in the memory of z, which a second backward call reads."""
    if value[0] is not None:
        z[...] = value[0]


@bug("packed")
def saved_is_out(backend, right, z, saved, winner):
    """z is kept in less precision than it has: float16."""
    with np.errstate(over="ignore"):
        return right(z.astype(np.float16).astype(z.dtype), saved, winner)


@bug("unpooled")
def dout_written_to(pool, value, dout, winner):
    """Backward clears dout behind itself."""
    if dout.flags.writeable:
        dout[...] = 0


@bug("conv_bn_relu_forward")
def residual_written_to(backend, right, *given):
    """out is computed in the memory of the residual."""
    found = right(*given)
    if given[-1] is not None and given[-1].shape == found[0].shape:
        given[-1][...] = found[0]
    return found
