"""The checks of properties: symmetries, linearity, and how the parameters of a problem are related.

Data are small integers, so that both sides of a law are exact.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from convkit import bounds
from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case
from convkit.conformance.data import inputs
from convkit.conformance.entries import ENTRIES
from convkit.conformance.laws import law
from convkit.conformance.reference import NUMPY_MODES, FloatArray
from convkit.conformance.subject import Failed, Subject, agree
from convkit.errors import ConvkitError

# --- comparing ------------------------------------------------------------------------------


def _with(found: Case, **changes: Any) -> Case:
    return dataclasses.replace(found, geometry=tuple({**found.sizes, **changes}.items()))


def _plain(found: Case, **changes: Any) -> Case:
    """Return a problem without the overhang of ceil_mode, and with other changes."""
    overhang = {"ceil_mode": False} if "ceil_mode" in found.sizes else {}
    return _with(found, **changes, **overhang)


def _out(subject: Subject, found: Case, given: Inputs, **arrays: Any) -> FloatArray:
    """Forward alone, of arrays that need not be the case's own."""
    subject.require(found)
    chosen = given.replaced(**arrays)
    return subject.forward(found, chosen.map(lambda a: np.ascontiguousarray(a, found.dtype)))[0]


def _agree(
    subject: Subject,
    found: Case,
    got: FloatArray,
    want: FloatArray,
    limit: FloatArray | None = None,
) -> None:
    """Both sides of a law: equal, or within the bound of both where neither is exact.

    ``limit`` is the bound of each side where the operation has one of its own.
    """
    terms = bounds.terms(found.specs[0], "out")
    if limit is not None:
        bound: Any = 2 * subject.error_factor * limit
    elif ENTRIES[found.op].divides:
        bound = 4 * bounds.elementwise(np.full(got.shape, 40.0), terms, found.dtype)
    elif subject.exact or not ENTRIES[found.op].rounds:
        bound = 0.0
    else:
        size = np.full(got.shape, 100.0 * terms)
        bound = 2 * bounds.normwise(size, terms, found.dtype, factor=subject.error_factor)
    agree("out", got, want, bound)


def _limit(found: Case, given: Inputs) -> Any:
    """Return the bound of out where the operation has one of its own, else None."""
    entry = ENTRIES[found.op]
    return entry.fast(found, given)["out"].limit if entry.curved else None


# --- the laws -------------------------------------------------------------------------------


@law("symmetry")
def symmetry(subject: Subject, case: Case) -> None:
    """What a result does not depend on changes nothing: the order of images, a shift, a scale."""
    given = inputs(case)
    out = _out(subject, case, given)
    limit = _limit(case, given)
    for said, other, changed, of_out in ENTRIES[case.op].symmetries(case, given):
        own = _limit(other, changed)
        got, want = _out(subject, other, changed), np.ascontiguousarray(of_out(out))
        try:
            _agree(subject, other, got, want, own + of_out(limit))
        except Failed as failure:
            raise Failed(f"{said}: {failure}", failure.plane) from failure


@law("vanishing")
def vanishing(subject: Subject, case: Case) -> None:
    """The gradient along a direction that changes nothing is 0: a shift of a normalised set."""
    subject.require(case)
    given = inputs(case)
    results = subject.both(case, given.copies())
    for said, values, bound in ENTRIES[case.op].vanishing(case, given, results):
        agree(said, values, np.zeros_like(values), subject.error_factor * bound)


@law("linearity")
def linearity(subject: Subject, case: Case) -> None:
    """f(2 x + 3 y) = 2 f(x) + 3 f(y), and for a convolution the same in w."""
    case = _with(case, bias=False) if "b" in case.shapes else case
    given = inputs(case)
    others = {"x": given.x[::-1, :, ::-1] - 1}
    others |= {name: getattr(given, name)[::-1] + 1 for name in ENTRIES[case.op].weights}
    one = _out(subject, case, given)
    for name, other in others.items():
        mine = getattr(given, name)
        joined = _out(subject, case, given, **{name: 2 * mine + 3 * other})
        _agree(subject, case, joined, 2 * one + 3 * _out(subject, case, given, **{name: other}))


@law("translation")
def translation(subject: Subject, case: Case) -> None:
    """An image moved by one stride gives a result moved by one place, away from the edges."""
    case = _plain(case, pad=0)
    try:
        strides = case.specs[-1].stride
    except ConvkitError:  # without its padding the image is smaller than the window
        return
    given = inputs(case)
    grown = (n + s for n, s in zip(given.x.shape[2:], strides, strict=True))
    moved = np.zeros((*given.x.shape[:2], *grown))
    moved[:, :, strides[0] :, strides[1] :] = given.x
    out = _out(subject, _with(case, x=moved.shape), given, x=moved)
    here = _out(subject, case, given)
    sizes = here.shape[2:]
    _agree(subject, case, np.ascontiguousarray(out[:, :, 1 : sizes[0] + 1, 1 : sizes[1] + 1]), here)


@law("batch-independence")
def batch_independence(subject: Subject, case: Case) -> None:
    """An image's result does not depend on the other images of the batch."""
    given = inputs(case)
    whole = _out(subject, case, given)
    alone = _with(case, x=(1, *given.x.shape[1:]))
    limit = _limit(case, given)
    for n in range(len(given.x)):
        mine = slice(n, n + 1)
        images = {m: a[mine] for m, a in given.given() if m in ENTRIES[case.op].per_image}
        part = _out(subject, alone, given, **images)
        of_one = None if limit is None else limit[mine]
        _agree(subject, alone, np.ascontiguousarray(whole[mine]), part, of_one)


@law("channel-permutation")
def channel_permutation(subject: Subject, case: Case) -> None:
    """Channels in another order, with their weights, give the same sums; filters permute out."""
    given = inputs(case)
    if not ENTRIES[case.op].weights:
        out = _out(subject, case, given, x=given.x[:, ::-1])
        _agree(subject, case, out, _out(subject, case, given)[:, ::-1])
        return
    case = _with(case, groups=1, w=(given.w.shape[0], given.x.shape[1], *given.w.shape[2:]))
    given = inputs(case)
    out = _out(subject, case, given)
    other = _out(subject, case, given, x=given.x[:, ::-1], w=given.w[:, ::-1])
    _agree(subject, case, other, out)
    b = None if given.b is None else given.b[::-1]
    _agree(subject, case, _out(subject, case, given, w=given.w[::-1], b=b), out[:, ::-1])


@law("groups-are-blocks")
def groups_are_blocks(subject: Subject, case: Case) -> None:
    """A grouped convolution is as many convolutions of a part of the channels each."""
    given, spec = inputs(case), case.specs[0]
    whole = _out(subject, case, given)
    per_group, filters = spec.w_shape[1], spec.w_shape[0] // spec.groups
    part = _with(
        case,
        groups=1,
        x=(given.x.shape[0], per_group, *given.x.shape[2:]),
        w=(filters, *given.w.shape[1:]),
    )
    for g in range(spec.groups):
        mine = slice(g * filters, (g + 1) * filters)
        x = given.x[:, g * per_group : (g + 1) * per_group]
        b = None if given.b is None else given.b[mine]
        out = _out(subject, part, given, x=x, w=given.w[mine], b=b)
        _agree(subject, part, np.ascontiguousarray(whole[:, mine]), out)


@law("dilation-is-stuffing")
def dilation_is_stuffing(subject: Subject, case: Case) -> None:
    """A dilated kernel is a kernel with zeros between its taps."""
    given, spec = inputs(case), case.specs[0]
    stuffed = np.zeros((*given.w.shape[:2], *spec.window))
    stuffed[:, :, :: spec.dilation[0], :: spec.dilation[1]] = given.w
    plain = _with(case, dilation=(1, 1), w=stuffed.shape)
    out = _out(subject, plain, given, w=stuffed)
    _agree(subject, plain, _out(subject, case, given), out)


@law("stride-is-subsampling")
def stride_is_subsampling(subject: Subject, case: Case) -> None:
    """A strided result is every stride-th element of the result with stride 1."""
    case = _plain(case)
    given = inputs(case)
    out = _out(subject, case, given)
    dense = _out(subject, _with(case, stride=(1, 1)), given)
    strides = case.specs[-1].stride
    picked = dense[:, :, :: strides[0], :: strides[1]]
    _agree(subject, case, out, np.ascontiguousarray(picked))


@law("padding-copies-pixels")
def padding_copies_pixels(subject: Subject, case: Case) -> None:
    """Padding that copies pixels is a convolution, without padding, of what numpy.pad gives."""
    given = inputs(case)
    for mode, theirs in NUMPY_MODES.items():
        found = _with(case, pad_mode=mode)
        try:
            pairs = found.specs[0].pad
        except ConvkitError:  # too few pixels for this mode
            continue
        grown = np.pad(given.x, ((0, 0), (0, 0), *pairs), mode=theirs)  # type: ignore[call-overload]
        plain = _with(case, x=grown.shape, pad=0)
        _agree(subject, found, _out(subject, found, given), _out(subject, plain, given, x=grown))


@law("max-is-idempotent")
def max_is_idempotent(subject: Subject, case: Case) -> None:
    """A window of one pixel changes nothing; pooling twice is pooling once with both windows."""
    given = inputs(case)
    one = _plain(case, kernel=(1, 1), stride=(1, 1), pad=0)
    _agree(subject, one, _out(subject, one, given), given.x)
    kernel = case.sizes["kernel"]
    first = _plain(case, stride=(1, 1), pad=0)
    twice = tuple(2 * k - 1 for k in kernel)
    if any(k > n for k, n in zip(twice, given.x.shape[2:], strict=True)):
        return
    once = _out(subject, first, given)
    again = _out(subject, _with(first, x=once.shape), given, x=once)
    _agree(subject, first, again, _out(subject, _with(first, kernel=twice), given))


@law("average-of-constant")
def average_of_constant(subject: Subject, case: Case) -> None:
    """The average of equal pixels is that pixel, wherever padding and overhang lie."""
    out = _out(subject, case, inputs(case), x=np.full(case.x_shape, 7.0))
    _agree(subject, case, out, np.full(out.shape, 7.0, out.dtype))
