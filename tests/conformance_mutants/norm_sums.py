"""Normalisations whose statistics or sums are wrong: precision, cancellation, lost blocks."""

from __future__ import annotations

import numpy as np

from conformance_mutants.norm_base import ThreadedNorms, norm_bug, numbers


@norm_bug("mean")
def mean_summed_in_float32(spec, value, x):
    """The sum runs in float32, number by number: 5.1 everywhere has a mean of 5.5."""
    if spec.dtype == np.float32 and spec.set_size > 1000:
        sets = value.shape[0]
        order = x.swapaxes(0, 1) if spec.kind == "batch" else x
        rows = np.ascontiguousarray(order).reshape(sets, -1)
        return (np.add.accumulate(rows, axis=1)[:, -1] / np.float32(spec.set_size)).astype(float)
    return None


@norm_bug("mean")
def mean_in_float16(spec, value, x):
    """The mean is kept in half precision."""
    return value.astype(np.float16).astype(np.float64)


@norm_bug("mean")
def float64_mean_in_float32(spec, value, x):
    """The mean of float64 numbers is kept in float32."""
    return value.astype(np.float32).astype(np.float64)


@norm_bug("mean")
def float64_summed_one_by_one(spec, value, x):
    """A float64 sum of hundreds of thousands grows its error with its length (no blocks)."""
    if spec.dtype == np.float64 and spec.set_size > 100_000:
        order = x.swapaxes(0, 1) if spec.kind == "batch" else x
        rows = np.ascontiguousarray(order).reshape(value.shape[0], -1)
        return np.add.accumulate(rows, axis=1)[:, -1] / spec.set_size
    return None


@norm_bug("var")
def one_pass_variance(backend, right, spec, x, mean):
    """mean(x**2) - mean(x)**2 cancels where the mean is large."""
    return np.square(backend.rows(spec, x)).mean(axis=1) - np.square(mean)


@norm_bug("var")
def one_pass_variance_in_float32(backend, right, spec, x, mean):
    """mean(x**2) - mean(x)**2, from float32 sums, clamped at 0."""
    if spec.dtype != np.float32:
        return right(spec, x, mean)
    squares = np.square(backend.rows(spec, x).astype(np.float32)).mean(axis=1)
    return np.maximum(squares - np.square(mean.astype(np.float32)), 0).astype(np.float64)


@norm_bug("var")
def unbiased_variance(spec, value, x, mean):
    """x is normalised by the unbiased variance."""
    return value * (spec.set_size / max(1, spec.set_size - 1))


@norm_bug("var")
def variance_about_zero(backend, right, spec, x, mean):
    """The second moment in place of the variance."""
    return np.square(backend.rows(spec, x)).mean(axis=1)


@norm_bug("var")
def mean_absolute_deviation(backend, right, spec, x, mean):
    """The squared mean absolute deviation in place of the variance."""
    return np.square(np.abs(backend.rows(spec, x) - mean[:, None]).mean(axis=1))


def _blocks_merged(backend, spec, x, drop):
    rows = backend.rows(spec, x)
    size = 64
    parts = [rows[:, i : i + size] for i in range(0, rows.shape[1], size)]
    total = sum(np.square(p - p.mean(axis=1)[:, None]).sum(axis=1) for p in parts)
    mean = rows.mean(axis=1)
    between = sum(p.shape[1] * np.square(p.mean(axis=1) - mean) for p in parts[drop:])
    return (total + between) / rows.shape[1]


@norm_bug("var")
def blocks_merged_without_their_means(backend, right, spec, x, mean):
    """Blocks of 64 are merged without the squares between their means."""
    rows = backend.rows(spec, x)
    return _blocks_merged(backend, spec, x, 1 + rows.shape[1] // 64)


@norm_bug("var")
def first_block_merged_without_its_mean(backend, right, spec, x, mean):
    """Of blocks of 64 the first one's mean is left out of the merge."""
    return _blocks_merged(backend, spec, x, 1)


@norm_bug("mean")
def last_partial_block_left_out_of_the_mean(backend, right, spec, x):
    """Beyond 32 numbers the last block of 16 that is not full is not summed; the count is."""
    rows = backend.rows(spec, x)
    n = rows.shape[1]
    return right(spec, x) if n < 32 else rows[:, : n - n % 16].sum(axis=1) / n


@norm_bug("var")
def last_partial_row_left_out_of_the_variance(backend, right, spec, x, mean):
    """Rows of more than 8 pixels lose the odd ones in the variance."""
    wide = x.shape[-1]
    if x.ndim < 3 or wide < 9 or wide % 8 == 0:
        return right(spec, x, mean)
    deviation = np.square(x - backend.across(spec, mean))
    deviation[..., wide - wide % 8 :] = 0
    return backend.rows(spec, deviation).mean(axis=1)


@norm_bug("mean")
def odd_pixel_left_out_of_the_mean(backend, right, spec, x):
    """An odd number of pixels above 100 loses the last one."""
    if numbers(spec) < 100 or numbers(spec) % 2 == 0:
        return right(spec, x)
    kept = x.reshape(*x.shape[:2], -1).copy()
    kept[..., -1] = 0
    return backend.rows(spec, kept).sum(axis=1) / spec.set_size


@norm_bug("mean")
def count_in_sixteen_bits(spec, value, x):
    """The number of elements is kept in 16 bits."""
    count = spec.set_size % 65_536 or 1
    return value * (spec.set_size / count) if spec.set_size >= 65_536 else None


@norm_bug("mean")
def images_beyond_a_thousand_not_summed(backend, right, spec, x):
    """The statistics see the first 1,024 images (or numbers of a group) alone."""
    rows = backend.rows(spec, x)
    return right(spec, x) if rows.shape[1] <= 65_536 else rows[:, :65_536].mean(axis=1)


@norm_bug("inverse")
def eps_outside_the_root(spec, value, var):
    """1 / (sqrt(var) + eps)."""
    return 1 / (np.sqrt(var) + spec.eps)


@norm_bug("inverse")
def eps_always_the_usual(spec, value, var):
    """eps is 1e-5 whatever was asked."""
    return 1 / np.sqrt(var + 1e-5)


@norm_bug("inverse")
def eps_at_least_a_millionth(spec, value, var):
    """eps is clamped from below, as cuDNN's CUDNN_BN_MIN_EPSILON does."""
    return 1 / np.sqrt(var + max(spec.eps, 1e-6))


@norm_bug("inverse")
def eps_squared(spec, value, var):
    """eps enters as its square."""
    return 1 / np.sqrt(var + spec.eps**2)


@norm_bug("inverse")
def eps_left_out_where_there_is_a_variance(spec, value, var):
    """eps is added only where the variance is below it."""
    return np.where(var > spec.eps, 1 / np.sqrt(var), value)


@norm_bug("inverse")
def approximate_root_in_float32(spec, value, var):
    """A fast inverse square root without its last Newton step, in float32 alone."""
    return value * (1 + 2.0**-12) if spec.dtype == np.float32 else None


@norm_bug("inverse")
def approximate_root_in_float64(spec, value, var):
    """The root of float64 variances is taken in float32."""
    if spec.dtype == np.float64:
        return 1 / np.sqrt((var + spec.eps).astype(np.float32)).astype(np.float64)
    return None


@norm_bug("part")
def sums_of_backward_in_float32(spec, value, a):
    """float64 gradients are averaged in float32."""
    return value.astype(np.float32).astype(np.float64)


@norm_bug("part")
def last_block_of_backward_lost(backend, right, spec, a):
    """The means of backward lose the last incomplete block of 8 of more than 16."""
    rows = backend.rows(spec, a)
    n = rows.shape[1]
    return right(spec, a) if n <= 16 else rows[:, : n - n % 8].sum(axis=1) / n


@norm_bug("part")
def mean_of_backward_over_pixels_alone(spec, value, a):
    """The means of backward divide by the pixels, not by the size of the set."""
    return value * (spec.set_size / numbers(spec))


@norm_bug("part", base=ThreadedNorms)
def nine_threads_lose_a_row(backend, right, spec, a):
    """With nine threads or more the last row's mean is not written."""
    value = right(spec, a)
    if backend.threads >= 9 and len(value) > 1:
        value[-1] = 0
    return value


@norm_bug("part", base=ThreadedNorms)
def bits_depend_on_threads(backend, right, spec, a):
    """A backend that says it is reproducible sums in another order with three threads."""
    rows = backend.rows(spec, a)
    if backend.threads == 3 and rows.shape[1] > 8:
        return rows[:, ::-1].cumsum(axis=1)[:, -1] / rows.shape[1]
    return right(spec, a)
