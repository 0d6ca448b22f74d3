"""Normalisations that keep, mix up or write to what they should not; and running statistics."""

from __future__ import annotations

import numpy as np

from conformance_mutants.norm_base import Norms, norm_bug
from conformance_mutants.registry import host
from convkit.functions import norms

# --- training, inference and running statistics ---------------------------------------------


@norm_bug("statistics", "batch")
def running_statistics_in_training(backend, right, spec, x, mean, var):
    """A second call in training normalises with the statistics of the first one."""
    seen = vars(backend).setdefault("seen", {})
    if spec.training and x.shape in seen:
        return seen[x.shape]
    seen[x.shape] = right(spec, x, mean, var)
    return seen[x.shape]


@norm_bug("statistics", "batch")
def batch_statistics_in_inference(backend, right, spec, x, mean, var):
    """In inference the batch's own statistics are used where it has more than one image."""
    if not spec.training and len(x) > 1:
        own = backend.mean(spec, x)
        return own, backend.var(spec, x, own)
    return right(spec, x, mean, var)


@norm_bug("statistics", "batch")
def frozen_standard_deviation(backend, right, spec, x, mean, var):
    """In inference running_var is taken for a standard deviation."""
    mean, var = right(spec, x, mean, var)
    return mean, var if spec.training else np.square(var)


@norm_bug("moved", "batch")
def unbiased_running_variance(spec, value, mean, var):
    """What forward hands out is the unbiased variance."""
    return value[0], value[1] * np.asarray(
        spec.set_size / max(1, spec.set_size - 1), spec.dtype
    )  # fmt: skip


@norm_bug("moved", "batch")
def running_standard_deviation(spec, value, mean, var):
    """What forward hands out is the standard deviation."""
    return value[0], np.sqrt(value[1])


@norm_bug("moved", "batch")
def running_inverse(spec, value, mean, var):
    """What forward hands out is 1 / sqrt(var + eps), as some libraries save it."""
    return value[0], (1 / np.sqrt(var + spec.eps)).astype(spec.dtype)


@norm_bug("moved", "batch")
def running_statistics_exchanged(spec, value, mean, var):
    """Mean and variance are handed out in each other's place."""
    return value[1], value[0]


@norm_bug("moved", "batch")
def running_mean_of_the_last_block(spec, value, mean, var):
    """The mean of channels that fill no block of 8 is not handed out."""
    if len(value[0]) > 8 and len(value[0]) % 8:
        value[0][len(value[0]) - len(value[0]) % 8 :] = 0


@norm_bug("moved", "batch")
def running_variance_with_eps(spec, value, mean, var):
    """What forward hands out has eps in it."""
    return value[0], (value[1] + spec.eps).astype(spec.dtype)


@norm_bug("dx", "batch")
def frozen_backward_as_in_training(backend, right, spec, d, z, gamma, inverse):
    """With running statistics dx is that of training."""
    dx = right(spec, d, z, gamma, inverse)
    if spec.training:
        return dx
    scaled = backend.channel(spec, gamma) * d
    part, share = backend.part(spec, scaled), backend.part(spec, scaled * z)
    return dx - (backend.across(spec, part) + z * backend.across(spec, share)) * backend.across(
        spec, inverse
    )


@norm_bug("statistics", "batch")
def writes_to_running_mean(backend, right, spec, x, mean, var):
    """In inference the running mean is moved in place."""
    found = right(spec, x, mean, var)
    if not spec.training and len(x):
        mean += np.asarray(0.1, spec.dtype)
    return found


_move = norms.move


def _moves(change):
    def move(bn_param, batch, size, momentum, unbiased):
        change(bn_param, batch, size, momentum, unbiased)

    return (norms, "move", move)


@host(
    _moves(
        lambda table, batch, n, momentum, unbiased: _move(table, batch, n, 1 - momentum, unbiased)
    ),
    base=Norms,
)
def batch_norm_momentum_swapped():
    """batch_norm: running = (1 - momentum) * running + momentum * batch, as PyTorch has it."""


@host(
    _moves(
        lambda table, batch, n, momentum, unbiased: _move(table, batch, n, momentum, not unbiased)
    ),
    base=Norms,
)
def batch_norm_unbiased_swapped():
    """batch_norm: running_var moves by the unbiased variance where the biased one is asked for."""


def _twice(table, batch, n, momentum, unbiased):
    _move(table, batch, n, momentum, unbiased)
    _move(table, batch, n, momentum, unbiased)


@host(_moves(_twice), base=Norms)
def batch_norm_moves_twice():
    """batch_norm: running statistics move twice in one call."""


def _in_place(table, batch, n, momentum, unbiased):
    old = {k: table[k] for k in ("running_mean", "running_var") if k in table}
    _move(table, batch, n, momentum, unbiased)
    for key, value in old.items():
        value[...] = table[key]
        table[key] = value


@host(_moves(_in_place), base=Norms)
def batch_norm_moves_in_place():
    """batch_norm: the caller's own running arrays are overwritten."""


# --- state ----------------------------------------------------------------------------------


@norm_bug("keep")
def saved_by_shape(backend, right, spec, mean, inverse, positive):
    """What backward needs is kept in the backend, by shape: the next call overwrites it."""
    kept = vars(backend).setdefault("kept", {})
    found = kept.setdefault(spec.x_shape, [None, None, None])
    found[:] = right(spec, mean, inverse, positive)
    return found


@norm_bug("keep")
def buffer_for_the_mean(backend, right, spec, mean, inverse, positive):
    """The saved root lies in a buffer that every call of as many sets writes to."""
    buffers = vars(backend).setdefault("buffers", {})
    inverse_kept = buffers.setdefault(inverse.shape, np.empty_like(inverse))
    inverse_kept[...] = inverse
    return mean, inverse_kept, positive


@norm_bug("computed")
def keeps_out_by_reference(backend, right, spec, *inputs):
    """backward reads relu's mask from out, which belongs to the caller."""
    out, saved, mean, var = right(spec, *inputs)
    return out, (*saved[:2], out if spec.relu else None), mean, var


@norm_bug("behind_relu")
def writes_to_dout(backend, right, spec, dout, positive):
    """relu's mask is applied to dout in place."""
    dout[~positive] = 0
    return dout


@norm_bug("computed")
def writes_to_x(backend, right, spec, x, *inputs):
    """x is centred in place, in images of more than 30 pixels."""
    found = right(spec, x, *inputs)
    if x[0, 0].size > 30 if len(x) else False:
        x -= np.asarray(1, spec.dtype)
    return found


@norm_bug("finish")
def ring_of_results(backend, right, spec, out):
    """out lies in a ring of four buffers."""
    ring = vars(backend).setdefault("ring", {}).setdefault((spec.x_shape, spec.dtype), [])
    value = right(spec, out)
    if len(ring) < 4:
        ring.append(value)
        return value
    ring.append(ring.pop(0))
    ring[-1][...] = value
    return ring[-1]


@norm_bug("gradients")
def first_answer_remembered(backend, right, spec, dout, x, gamma, beta, saved, needs):
    """A second backward from one cache gives the first one's answer."""
    answers = vars(backend).setdefault("answers", {})
    key = (id(saved[0]), needs)
    if key not in answers:
        answers[key] = (saved, right(spec, dout, x, gamma, beta, saved, needs))
    return tuple(None if a is None else a.copy() for a in answers[key][1])


@norm_bug("inverse")
def eps_remembered_by_shape(backend, right, spec, var):
    """eps is that of the first call of this shape."""
    known = vars(backend).setdefault("eps", {})
    first = known.setdefault((spec.x_shape, spec.training), spec.eps)
    return 1 / np.sqrt(var + first)


@norm_bug("computed")
def relu_in_a_global(backend, right, spec, *inputs):
    """Whether there is a relu is in a global, which a call in another thread changes."""
    backend.current = spec
    found = right(spec, *inputs)
    other = backend.current
    if other is not spec and other.x_shape != spec.x_shape:
        found[0][...] = 0
    return found


@norm_bug("keep")
def mask_in_bytes_of_eight(backend, right, spec, mean, inverse, positive):
    """relu's mask is packed in bits, and the bits of the last incomplete byte are lost."""
    if positive is None or positive.size < 64 or positive.size % 8 == 0:
        return mean, inverse, positive
    flat = positive.reshape(-1).copy()
    flat[-(flat.size % 8) :] = False
    return mean, inverse, flat.reshape(positive.shape)


@norm_bug("finish")
def layout_kept(spec, value, out):
    """out comes back in Fortran order where there is one image."""
    return np.asfortranarray(value) if len(value) == 1 else None


@norm_bug("gradients")
def nothing_in_an_empty_batch(backend, right, spec, dout, x, gamma, beta, saved, needs):
    """With N = 0 the gradients of gamma and beta are never written."""
    found = right(spec, dout, x, gamma, beta, saved, needs)
    if not len(x):
        for value in found[1:3]:
            if value is not None:
                value[...] = np.nan
    return found
