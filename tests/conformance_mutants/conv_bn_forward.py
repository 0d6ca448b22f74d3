"""conv_bn_relu with a wrong out, wrong statistics or wrong inference; its parts alone are right."""

from __future__ import annotations

import dataclasses

import numpy as np

from conformance_mutants.conv_bn_base import bug, channel

# --- the order of the parts -----------------------------------------------------------------


@bug("ended")
def residual_after_relu(backend, right, norm, z, gamma, beta, mean, var, residual):
    """The residual is added behind relu."""
    out, *rest = right(norm, z, gamma, beta, mean, var, None)
    return (out if residual is None else out + residual), *rest


@bug("ended")
def residual_is_normalised(backend, right, norm, z, gamma, beta, mean, var, residual):
    """The residual is added to the convolution's result, before the statistics are taken."""
    z = z if residual is None else z + residual
    return right(norm, z, gamma, beta, mean, var, None)


@bug("ended")
def relu_before_the_norm(backend, right, norm, z, gamma, beta, mean, var, residual):
    """relu is applied to the convolution's result."""
    plain = dataclasses.replace(norm, relu=False)
    z = np.maximum(z, 0) if norm.relu else z
    out, (m, i, _), mean, var = right(plain, z, gamma, beta, mean, var, residual)
    return out, (m, i, out > 0 if norm.relu else None), mean, var


@bug("ended")
def residual_of_the_first_image(backend, right, norm, z, gamma, beta, mean, var, residual):
    """Each image gets the residual of the first."""
    if residual is not None and len(residual):
        residual = np.broadcast_to(residual[:1], residual.shape)
    return right(norm, z, gamma, beta, mean, var, residual)


@bug("run")
def pooled_before_the_scale(backend, right, conv, norm, pool, *given):
    """Pools before it scales, which is the same only where gamma is above 0."""
    if pool is None or given[-1] is not None:
        return right(conv, norm, pool, *given)
    x, w, b, gamma, *rest = given
    out, *_ = right(conv, norm, pool, x, w, b, np.abs(gamma), *rest)
    _, saved, mean, var = right(conv, norm, pool, *given)
    return out, saved, mean, var


@bug("run")
def statistics_of_the_pooled(backend, right, conv, norm, pool, *given):
    """Mean and variance are those of the pooled result."""
    out, saved, mean, var = right(conv, norm, pool, *given)
    if pool is not None and norm.training:
        pooled, _ = backend.pool_forward(pool, saved[0])
        mean = pooled.mean(axis=(0, *range(2, pooled.ndim)), dtype=np.float64)
    return out, saved, mean, var


@bug("pooled")
def maximum_from_zero(backend, right, pool, y):
    """A window's maximum starts from 0, as relu would have it: also without relu."""
    out, winner = right(pool, y)
    return np.maximum(out, 0), winner


@bug("ended")
def always_relu(backend, right, norm, z, *rest):
    """relu is a part of it, asked for or not."""
    return right(dataclasses.replace(norm, relu=True), z, *rest)


@bug("ended")
def no_relu_with_a_residual(backend, right, norm, z, *rest):
    """The path with a residual has no relu."""
    if rest[-1] is None:
        return right(norm, z, *rest)
    out, (m, i, _), *more = right(dataclasses.replace(norm, relu=False), z, *rest)
    return out, (m, i, np.ones(out.shape, bool) if norm.relu else None), *more


@bug("ended")
def loses_nan(norm, value, *given):
    """relu by comparison: a NaN becomes 0."""
    out, *rest = value
    return (np.where(np.isnan(out), 0, out) if norm.relu else out), *rest


@bug("pooled")
def pool_loses_nan(backend, right, pool, y):
    """A comparison with NaN is false, so that a window's NaN is passed over."""
    out, _ = right(pool, np.nan_to_num(y, nan=-np.inf, posinf=np.inf, neginf=-np.inf))
    return out, right(pool, y)[1]


# --- statistics -----------------------------------------------------------------------------


@bug("inverse")
def eps_is_the_default(backend, right, norm, var):
    """eps is 1e-5, whatever is asked."""
    return 1 / np.sqrt(var + 1e-5)


@bug("inverse")
def eps_outside_the_root(backend, right, norm, var):
    """eps is added to the standard deviation."""
    return 1 / (np.sqrt(var) + norm.eps)


@bug("var")
def unbiased_variance(norm, value, x, mean):
    """Normalises with the unbiased variance."""
    return value * (norm.set_size / max(1, norm.set_size - 1))


@bug("var")
def mean_of_squares(norm, value, x, mean):
    """The variance is the mean of squares less the square of the mean, in x's own precision."""
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    square = np.square(rows).mean(axis=1) - np.square(rows.mean(axis=1))
    return np.maximum(square, 0).astype(np.float64)


@bug("mean")
def sums_without_the_last_image(norm, value, x):
    """The sums taken in the convolution's epilogue leave out the last image."""
    if len(x) > 1:
        return x[:-1].mean(axis=(0, *range(2, x.ndim)), dtype=np.float64)
    return None


@bug("mean")
def sums_of_whole_blocks(norm, value, x):
    """The sums leave out columns beyond the last whole block of 8."""
    whole = x.shape[-1] // 8 * 8
    if x.shape[-1] > 8 and x.ndim > 3:
        return x[..., :whole].mean(axis=(0, *range(2, x.ndim)), dtype=np.float64)
    return None


@bug("mean")
def sums_beyond_sixteen_filters(norm, value, x):
    """Filters beyond the 16th are normalised with the means of the first ones."""
    if len(value) > 16:
        value[16:] = value[: len(value) - 16][: len(value[16:])].copy()


@bug("moved")
def moves_by_the_deviation(backend, right, norm, mean, var):
    """The running variance moves by the standard deviation."""
    return right(norm, mean, np.sqrt(var))


@bug("run")
def bias_does_not_matter(backend, right, conv, norm, pool, x, w, b, *rest):
    """In training a bias is left out, so that the running mean lacks it too."""
    return right(conv, norm, pool, x, w, None if norm.training else b, *rest)


@bug("moved")
def statistics_exchanged(backend, right, norm, mean, var):
    """Mean and variance are handed out in the other order."""
    return right(norm, mean, var)[::-1]


# --- running statistics and inference -------------------------------------------------------


@bug("run")
def folded_without_the_bias(backend, right, conv, norm, pool, x, w, b, *rest):
    """The norm folded into weights and bias forgets the bias that was there."""
    return right(conv, norm, pool, x, w, b if norm.training else None, *rest)


@bug("run")
def folded_scale_ungrouped(backend, right, conv, norm, pool, x, w, b, gamma, *rest):
    """With groups, the first group's scales are folded into the weights of all."""
    if conv.groups > 1 and not norm.training:
        each = len(gamma) // conv.groups
        gamma = np.tile(gamma[:each], conv.groups)
    return right(conv, norm, pool, x, w, b, gamma, *rest)


@bug("ended")
def folded_in_single_precision(norm, value, *given):
    """Scale and shift are folded in float32."""
    out, *rest = value
    return (out if norm.training else out.astype(np.float32).astype(norm.dtype)), *rest


@bug("ended")
def frozen_takes_the_batch(backend, right, norm, z, *rest):
    """The batch's own statistics are used where the running ones are asked for."""
    if norm.training or not len(z):
        return right(norm, z, *rest)
    out, saved, *_ = right(dataclasses.replace(norm, training=True), z, *rest)
    return out, saved, *rest[2:4]


@bug("ended")
def frozen_without_eps(backend, right, norm, *rest):
    """With running statistics eps is left out."""
    return right(norm if norm.training else dataclasses.replace(norm, eps=0.0), *rest)


@bug("conv_bn_relu_infer")
def inference_without_the_residual(backend, right, *given):
    """Inference forgets the residual."""
    return right(*given[:-1], None)


@bug("conv_bn_relu_infer")
def inference_without_relu(backend, right, conv, norm, *given):
    """Inference forgets relu."""
    return right(conv, dataclasses.replace(norm, relu=False), *given)


@bug("conv_bn_relu_infer")
def inference_in_one_buffer(backend, right, conv, norm, *given):
    """Inference returns the same array each time for the same problem."""
    found = right(conv, norm, *given)
    kept = vars(backend).setdefault("kept", {}).setdefault((conv, norm, given[0]), found)
    kept[...] = found
    return kept


@bug("conv_bn_relu_infer")
def inference_keeps_folded_weights(backend, right, conv, norm, pool, x, w, b, gamma, *rest):
    """Weights once folded are kept by their shape."""
    key = (conv, norm, pool)
    w, gamma = vars(backend).setdefault("kept", {}).setdefault(key, (w.copy(), gamma.copy()))
    return right(conv, norm, pool, x, w, b, gamma, *rest)


# --- sizes ----------------------------------------------------------------------------------


@bug("ended")
def last_block_of_columns(norm, value, z, gamma, beta, *rest):
    """Rows of more than 16 results: an incomplete last block of 8 gets no beta."""
    out, width = value[0], value[0].shape[-1]
    if width > 16 and width % 8 and not norm.relu:
        out[..., width // 8 * 8 :] -= channel(out, beta)


@bug("ended")
def images_in_blocks_of_four(norm, value, *given):
    """Of more than 16 images an incomplete last block of 4 stays 0."""
    out = value[0]
    if len(out) > 16 and len(out) % 4:
        out[len(out) // 4 * 4 :] = 0


@bug("pooled")
def odd_columns_pooled_wrongly(pool, value, y):
    """The path for windows of 2x2 reads rows as if their number of columns were even."""
    if pool.kernel == (2, 2) == pool.stride and y.shape[-1] % 2 and y.shape[2] > 2:
        value[0][:, :, 1:] = np.roll(value[0][:, :, 1:], 1, axis=-1)


@bug("z")
def one_by_one_stride(backend, right, conv, x, w, b):
    """The first two filters are exchanged where the kernel is 1x1."""
    z = right(conv, x, w, b)
    if max(conv.kernel) == 1 and z.shape[1] > 1:
        z[:, [0, 1]] = z[:, [1, 0]]
    return z
