"""Normalisations that mix up their sets: groups, images, one element."""

from __future__ import annotations

import numpy as np

from conformance_mutants.norm_base import norm_bug


@norm_bug("across", "group")
def groups_interleaved(backend, right, spec, values):
    """Groups are read interleaved: channel c is of group c % groups."""
    n, channels = spec.x_shape[:2]
    if spec.groups in (1, channels) or not n:
        return right(spec, values)
    wide = np.tile(values.reshape(n, spec.groups), (1, channels // spec.groups))
    return wide.reshape(n, channels, *(1,) * (len(spec.x_shape) - 2))


@norm_bug("mean", "group")
def groups_beyond_eight(spec, value, x):
    """Groups beyond the eighth get the mean of the eighth."""
    if spec.groups > 8 and len(value):
        table = value.reshape(len(x), spec.groups)
        table[:, 8:] = table[:, 7:8]


@norm_bug("mean", "group")
def one_group_is_a_batch(spec, value, x):
    """With one group the statistics are those of all images together."""
    return np.full_like(value, value.mean()) if spec.groups == 1 and len(value) else None


@norm_bug("mean", "group")
def instance_of_few_pixels(spec, value, x):
    """Instance normalisation of fewer than four pixels takes the mean of the channel before."""
    if spec.groups == spec.x_shape[1] > 1 and x[0, 0].size < 4 if len(x) else False:
        return np.roll(value, 1)
    return None


@norm_bug("affine", "group")
def gamma_of_each_group(spec, value, z, gamma, beta):
    """With more than two channels in a group its first gamma scales them all."""
    share = spec.x_shape[1] // spec.groups
    if share > 2:
        first = np.repeat(gamma[::share], share).reshape(-1, *(1,) * (z.ndim - 2))
        return value + (first - gamma.reshape(first.shape)) * z
    return None


@norm_bug("dgamma", "group")
def dgamma_of_each_group(spec, value, d, z):
    """With 32 groups dgamma is that of the group."""
    if spec.groups == 32 and len(value) > 32:
        share = len(value) // 32
        return np.repeat(value.reshape(32, share).mean(axis=1), share)
    return None


@norm_bug("mean", "batch")
def one_image_is_an_instance(spec, value, x):
    """A batch of more than 16 images is normalised by the statistics of its first 16."""
    if len(x) > 16:
        return x[:16].astype(np.float64).mean(axis=(0, *range(2, x.ndim)))
    return None


@norm_bug("computed", "batch")
def refuses_one_element(backend, right, spec, x, *inputs):
    """A set of one element raises, as PyTorch does in training."""
    if spec.training and spec.set_size == 1:
        raise ValueError("expected more than 1 value per channel when training")
    return right(spec, x, *inputs)
