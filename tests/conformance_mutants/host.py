"""The bug is in convkit itself, between the caller and a correct backend.

Backends only ever see C-contiguous native arrays and finished specs, so misread layouts, defaults
and selection can go wrong nowhere else. The suite has to notice them from outside. Geometry is not
mutated here: the suite takes its sizes from the spec, which tests of its own hold to brute force.
"""

from __future__ import annotations

import numpy as np

from conformance_mutants.registry import host
from convkit import registry
from convkit.calls import arrays, dispatch, methods, params
from convkit.functions import calling, conv, pools

as_input = arrays.as_input


def raw(array):
    """The same memory, taken to be C-contiguous, where it is large enough to be so."""
    whole = array
    while isinstance(whole.base, np.ndarray) and whole.base.dtype == array.dtype:
        whole = whole.base
    flat = whole.ravel(order="K")
    return flat[: array.size].reshape(array.shape) if flat.size >= array.size else array


def _reads(condition, wrong):
    def as_input_with_bug(name, value):
        if type(value) is np.ndarray and value.ndim > 1 and condition(value):
            value = wrong(value)
        return as_input(name, value)

    return (arrays, "as_input", as_input_with_bug)


def fortran(array):
    return array.flags.f_contiguous and not array.flags.c_contiguous


@host(_reads(fortran, lambda a: raw(a).copy()))
def fortran_order_ignored():
    """Fortran-ordered arrays are read as if in C order."""


@host(
    _reads(
        lambda a: min(a.strides) > 0 and not a.flags.c_contiguous and not a.flags.f_contiguous,
        lambda a: raw(a).copy(),
    )
)
def strides_ignored():
    """Slices and transposed arrays are read from their buffer's beginning."""


@host(
    _reads(
        lambda a: min(a.strides) < 0,
        lambda a: a[tuple(slice(None, None, np.sign(s) or 1) for s in a.strides)].copy(),
    )
)
def negative_strides_ignored():
    """Reversed axes are read forwards."""


@host(
    _reads(
        lambda a: 0 in a.strides and a.size > 1,
        lambda a: np.resize(
            a[tuple(slice(0, 1) if s == 0 else slice(None) for s in a.strides)], a.shape
        ),
    )
)
def zero_strides_ignored():
    """Broadcast arrays are read as if they had their own memory."""


@host(_reads(lambda a: not a.dtype.isnative, lambda a: a.view(a.dtype.newbyteorder("="))))
def byte_order_ignored():
    """Arrays of the other byte order are taken as they are."""


@host(
    _reads(
        lambda a: not a.flags.aligned,
        lambda a: np.roll(np.ascontiguousarray(a).reshape(-1), 1).reshape(a.shape),
    )
)
def misalignment_ignored():
    """A misaligned array is read from the next aligned address."""


def _refuses(name, value):
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        raise ValueError("buffer source array is read-only")
    return as_input(name, value)


@host((arrays, "as_input", _refuses))
def read_only_refused():
    """Read-only arrays raise, as typed memoryviews without const do."""


def _writes(name, value):
    array = as_input(name, value)
    if array is not value and isinstance(value, np.ndarray) and value.flags.writeable:
        value[...] = array
        value.flags.writeable = False
    return array


@host((arrays, "as_input", _writes))
def input_left_read_only():
    """An input that had to be copied comes back locked."""


def lost(key):
    """A key of a parameter dictionary is accepted and never handed on."""
    real = params.merge

    def merge(parameters, given, values):
        return real(parameters, {k: v for k, v in dict(given).items() if k != key}, values)

    return [(module, "merge", merge) for module in (conv, pools, calling)]


@host(*lost("pad"))
def pad_in_dictionary_lost():
    """conv_param accepts pad and never hands it on (pytorch#188344)."""


@host(*lost("dilation"))
def dilation_in_dictionary_lost():
    """conv_param accepts dilation and never hands it on."""


@host(*lost("groups"))
def groups_in_dictionary_lost():
    """conv_param accepts groups and never hands it on."""


@host(*lost("ceil_mode"))
def ceil_mode_in_dictionary_lost():
    """pool_param accepts ceil_mode and never hands it on."""


backward = dispatch.backward


def _all_or_nothing(operation, dout, cache, needs=None):
    found = backward(operation, dout, cache)
    return found if needs is None or len(needs) > 1 else (found[0], None, None)


@host((dispatch, "backward", _all_or_nothing))
def needs_lost():
    """needs is not handed on: one gradient wanted gives dx."""


methods_of = methods.methods_of


def _of_another(operation, specs, record):
    return methods_of(operation, specs, registry.load("im2col_numpy"))


@host((methods, "methods_of", _of_another))
def another_backend_answers():
    """Whatever was named, the NumPy backend computes (CUGraph's plug-in never loaded)."""
