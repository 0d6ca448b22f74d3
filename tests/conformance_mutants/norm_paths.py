"""Normalisations with one path wrong: only a gradient, inference, a fused end, a block of sizes."""

from __future__ import annotations

import dataclasses

import numpy as np

from conformance_mutants.norm_base import norm_bug, numbers

# --- out ------------------------------------------------------------------------------------


@norm_bug("affine")
def scale_beyond_sixteen_channels(spec, value, z, gamma, beta):
    """Channels beyond the 16th are not scaled."""
    value[:, 16:] = z[:, 16:] + beta[16:].reshape(-1, *(1,) * (z.ndim - 2))


@norm_bug("affine")
def last_partial_block_of_channels_unshifted(spec, value, z, gamma, beta):
    """The last block of 8 channels that is not full gets no beta."""
    channels = z.shape[1]
    if channels > 8 and channels % 8:
        rest = channels - channels % 8
        value[:, rest:] -= beta[rest:].reshape(-1, *(1,) * (z.ndim - 2))


@norm_bug("finish")
def last_odd_column(spec, value, out):
    """Rows of more than 32 columns lose the last odd one."""
    if spec.x_shape[-1] > 32 and spec.x_shape[-1] % 2 and value.ndim > 2:
        value[..., -1] = 0


@norm_bug("finish")
def pixels_beyond_a_tile(spec, value, out):
    """Images of more than 4,096 pixels: the incomplete last tile of 64 is left as zeros."""
    if numbers(spec) > 4096 and numbers(spec) % 64:
        value.reshape(*value.shape[:2], -1)[..., -(numbers(spec) % 64) :] = 0


@norm_bug("finish")
def images_beyond_a_block(spec, value, out):
    """Of more than 32 images an incomplete last block of 4 is wrong."""
    n = value.shape[0]
    if n > 32 and n % 4:
        value[n - n % 4 :] *= 2


@norm_bug("finish")
def three_channels(spec, value, out):
    """The path for three channels exchanges the first two."""
    if value.shape[1] == 3:
        value[:, [0, 1]] = value[:, [1, 0]]


@norm_bug("finish")
def without_spatial_axes(spec, value, out):
    """(N, C) is a path of its own, and wrong beyond 64 channels."""
    if value.ndim == 2:
        value[:, 64:] = 0


@norm_bug("finish")
def three_axes_transposed(spec, value, out):
    """In three axes, images as high as wide are transposed."""
    if value.ndim == 5 and value.shape[3] == value.shape[4]:
        return np.ascontiguousarray(value.swapaxes(3, 4))
    return None


@norm_bug("relu")
def relu_loses_nan(spec, value, out):
    """relu by comparison: a NaN becomes 0."""
    return np.where(out > 0, out, 0)


@norm_bug("relu")
def leaky(spec, value, out):
    """Negative numbers keep a tenth with an odd number of columns."""
    return np.where(out > 0, out, out / 10) if spec.x_shape[-1] % 2 else None


@norm_bug("add")
def residual_after_relu(backend, right, spec, out, residual):
    """The residual is added behind relu."""
    return np.maximum(out, 0) + residual if spec.relu else out + residual


@norm_bug("add")
def residual_lost_with_relu(backend, right, spec, out, residual):
    """With relu the residual is left out."""
    return out if spec.relu else out + residual


@norm_bug("add")
def residual_of_the_first_image(spec, value, out, residual):
    """Beyond four images the residual of the first one is added to the last."""
    if len(out) > 4:
        value[-1] += residual[0] - residual[-1]


@norm_bug("finish")
def rounds_to_float32(spec, value, out):
    """float64 results pass through float32."""
    return value.astype(np.float32).astype(spec.dtype)


@norm_bug("normal")
def normal_from_rounded_statistics(backend, right, spec, x, mean, inverse):
    """Mean and root are rounded to half precision before x is normalised."""
    return right(spec, x, mean, inverse.astype(np.float16).astype(np.float64))


# --- inference alone ------------------------------------------------------------------------


@norm_bug("infer")
def inference_without_residual(backend, right, spec, x, gamma, beta, mean, var, residual):
    """The inference path forgets the residual."""
    kept = None if residual is None else np.zeros_like(residual)
    return right(spec, x, gamma, beta, mean, var, kept)


@norm_bug("infer")
def inference_clamps(spec, value, *inputs):
    """The inference path applies relu wherever there is a residual."""
    return np.maximum(value, 0) if spec.has_residual else None


@norm_bug("infer")
def inference_loses_nan(spec, value, *inputs):
    """The inference path's relu makes a NaN 0."""
    return np.where(value > 0, value, 0) if spec.relu else None


@norm_bug("infer")
def inference_with_the_usual_eps(backend, right, spec, *inputs):
    """The inference path folds scale and shift with an eps of 1e-5."""
    return right(dataclasses.replace(spec, eps=1e-5), *inputs)


@norm_bug("infer")
def inference_skips_the_last_channels(spec, value, *inputs):
    """The inference path skips the channels that fill no block of 16."""
    channels = value.shape[1]
    if channels > 16 and channels % 16:
        value[:, channels - channels % 16 :] = 0


@norm_bug("infer")
def inference_of_nothing_raises(backend, right, spec, x, *rest):
    """N = 0 divides by zero, in inference alone."""
    if not len(x):
        raise ZeroDivisionError("division by zero")
    return right(spec, x, *rest)


# --- gradients ------------------------------------------------------------------------------


@norm_bug("dgamma")
def dgamma_of_the_last_block(spec, value, d, z):
    """dgamma of the last channels that fill no block of 4 is 0."""
    if len(value) > 4 and len(value) % 4:
        value[len(value) - len(value) % 4 :] = 0


@norm_bug("dgamma")
def dgamma_of_the_first_image(spec, value, d, z):
    """dgamma sums one image where there are more than eight."""
    if len(d) > 8:
        return (d[:1] * z[:1]).sum(axis=(0, *range(2, d.ndim)))
    return None


@norm_bug("dgamma")
def dgamma_without_its_mean(backend, right, spec, d, z):
    """dgamma multiplies dout by z + 1: the mean of x is not taken off."""
    return right(spec, d, z + 1) if spec.x_shape[1] > 12 else right(spec, d, z)


@norm_bug("dbeta")
def dbeta_in_float32_steps(spec, value, d):
    """dbeta of more than 5,000 numbers is a running sum in half precision steps."""
    if d.size // d.shape[1] > 5000:
        return value.astype(np.float16).astype(np.float64)
    return None


@norm_bug("dbeta")
def dbeta_loses_the_last_pixel(spec, value, d):
    """dbeta of more than 64 pixels loses the last odd one."""
    if numbers(spec) > 64 and numbers(spec) % 2:
        return value - d.reshape(*d.shape[:2], -1)[..., -1].sum(axis=0)
    return None


@norm_bug("dresidual")
def dresidual_is_zero_with_few_channels(spec, value, d):
    """dresidual of one channel is not written."""
    if spec.x_shape[1] == 1:
        value[...] = 0


@norm_bug("dresidual")
def dresidual_scaled(spec, value, d):
    """dresidual is doubled where there is no relu."""
    return value if spec.relu else 2 * value


@norm_bug("gradients")
def dresidual_not_behind_relu(backend, right, spec, dout, x, gamma, beta, saved, needs):
    """dresidual is dout itself, relu or not."""
    found = right(spec, dout, x, gamma, beta, saved, needs)
    if len(found) == 4 and found[3] is not None:
        return (*found[:3], dout.copy())
    return found


@norm_bug("positive")
def positive_at_zero(spec, value, out):
    """relu passes the gradient where its argument is exactly 0."""
    return out >= 0


@norm_bug("positive")
def positive_where_nan(spec, value, out):
    """relu passes the gradient of a NaN."""
    return ~(out <= 0)


@norm_bug("behind_relu")
def relu_multiplies(backend, right, spec, dout, positive):
    """relu multiplies by 0: an infinite gradient becomes NaN."""
    return dout * positive.astype(spec.dtype)


@norm_bug("dx", "group")
def dx_without_gamma_in_its_means(backend, right, spec, d, z, gamma, inverse):
    """dx takes the means of dout, and multiplies by gamma at the end."""
    return right(spec, d, z, np.ones_like(gamma), inverse) * backend.channel(spec, gamma)


@norm_bug("dx")
def dx_without_the_mean(backend, right, spec, d, z, gamma, inverse):
    """dx leaves out the mean of dout, as with a frozen mean."""
    dx = right(spec, d, z, gamma, inverse)
    if spec.kind == "batch" and not spec.training:
        return dx
    scaled = backend.channel(spec, gamma) * d
    return dx + backend.across(spec, backend.part(spec, scaled) * inverse)


@norm_bug("dx")
def dx_without_the_slope(backend, right, spec, d, z, gamma, inverse):
    """dx leaves out z mean(dout z) where a set has more than 256 numbers."""
    dx = right(spec, d, z, gamma, inverse)
    if (spec.kind == "batch" and not spec.training) or spec.set_size <= 256:
        return dx
    share = backend.part(spec, backend.channel(spec, gamma) * d * z)
    return dx + z * backend.across(spec, share * inverse)


@norm_bug("dx")
def dx_of_the_last_column(spec, value, d, z, gamma, inverse):
    """dx of more than 16 columns loses those that fill no block of 8."""
    wide = spec.x_shape[-1]
    if value.ndim > 2 and wide > 16 and wide % 8:
        value[..., wide - wide % 8 :] = 0


@norm_bug("dx")
def dx_of_one_image(spec, value, d, z, gamma, inverse):
    """dx of a single image has the wrong sign."""
    return -value if len(value) == 1 else None


@norm_bug("gradients")
def only_dx_is_another(backend, right, spec, dout, x, gamma, beta, saved, needs):
    """With dx wanted alone, relu is forgotten."""
    if needs == ("dx",):
        return right(spec, dout, x, gamma, beta, (*saved[:2], None), needs)
    return right(spec, dout, x, gamma, beta, saved, needs)


@norm_bug("gradients")
def dgamma_without_dbeta(backend, right, spec, dout, x, gamma, beta, saved, needs):
    """dgamma wanted without dbeta is not summed up."""
    found = right(spec, dout, x, gamma, beta, saved, needs)
    if "dgamma" in needs and "dbeta" not in needs:
        found[1][...] = 0
    return found
