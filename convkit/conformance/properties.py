"""The checks of properties: laws that hold for every problem, searched with Hypothesis.

A law runs on a case like any other check; what is special is where cases come from: a case with
``examples=N`` stands for a seeded search over N of them, and a failure is shrunk to a small case
that reproduces alone. Data are small integers, so that both sides of a law are exact.
Hypothesis is imported when a search runs, and its absence is an error, never a pass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from convkit import bounds
from convkit.conformance.cases import DTYPES, Case, case
from convkit.conformance.checks import check
from convkit.conformance.data import Inputs, inputs
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject, Unsupported
from convkit.errors import ConvkitError, ParameterError

EXAMPLES = {"quick": 6, "default": 60, "full": 600}
SMALL = "ties-small"


class Counterexample(Failed):
    """A failure of a search; ``case`` is what it was shrunk to."""

    def __init__(self, text: str, case: Case) -> None:
        super().__init__(text)
        self.case = case


def _searches(op: str, level: str, seed: int) -> Iterator[Case]:
    for i, dtype in enumerate(DTYPES):
        yield Case(op, (), dtype, SMALL, seed + i, (("examples", EXAMPLES[level]),), "properties")


Law = Callable[[Subject, Case], None]


def law(name: str, *operations: str) -> Callable[[Law], Law]:
    """Register a law as a check over searches, and over one case where one is given."""

    def register(holds: Law) -> Law:
        def run(subject: Subject, case: Case) -> None:
            if case.get("examples"):
                _search(holds, subject, case)
            else:
                holds(subject, case)

        run.__doc__ = holds.__doc__
        check(name, _searches, operations)(run)
        return holds

    return register


def _search(holds: Law, subject: Subject, wanted: Case) -> None:
    try:
        import hypothesis
    except ModuleNotFoundError as error:
        raise ParameterError(
            "the property checks need the package hypothesis; pip install hypothesis"
        ) from error
    last: list[Case] = []
    held: list[Case] = []
    unsupported: list[str] = []

    @hypothesis.seed(wanted.seed)
    @hypothesis.settings(
        max_examples=wanted.get("examples"),
        deadline=None,
        database=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(hypothesis.strategies.data())
    def every(data: Any) -> None:
        found = _draw(wanted, data, hypothesis)
        try:
            subject.require(found)
            last[:] = [found]
            holds(subject, found)
            held[:] = [found]
        except Unsupported as reason:
            unsupported.append(str(reason))
            # Draw another one instead; Hypothesis would try a thousand times.
            hypothesis.assume(len(unsupported) > 3 * wanted.get("examples"))

    try:
        every()
    except (Failed, ConvkitError) as error:
        raise Counterexample(str(error), last[0]) from error
    if not held:
        raise Unsupported(unsupported[-1])


def _draw(wanted: Case, data: Any, hypothesis: Any) -> Case:
    """Draw a small valid problem of the operation; small numbers shrink first."""
    st = hypothesis.strategies
    ints = st.integers

    def two(low: int, high: int) -> tuple[int, int]:
        return data.draw(ints(low, high)), data.draw(ints(low, high))

    if wanted.op == "conv":
        groups = data.draw(ints(1, 3))
        channels, filters = two(1, 3)
        geometry = {
            "x": (data.draw(ints(1, 3)), channels * groups, *two(1, 9)),
            "w": (filters * groups, channels, *two(1, 4)),
            "bias": data.draw(st.booleans()),
            "stride": two(1, 3),
            "pad": (two(0, 2), two(0, 2)),
            "dilation": two(1, 3),
            "groups": groups,
        }
    else:
        geometry = {
            "x": (*two(1, 3), *two(1, 9)),
            "kernel": two(1, 4),
            "stride": two(1, 3),
            "pad": (two(0, 2), two(0, 2)),
            "ceil_mode": data.draw(st.booleans()),
        }
    found = case(wanted.op, "properties", dtype=wanted.dtype, data=SMALL, **geometry)
    found = dataclasses.replace(found, seed=data.draw(ints(0, 1000)))
    try:
        _ = found.specs
    except ConvkitError:
        hypothesis.assume(False)
    return found


# --- comparing ------------------------------------------------------------------------------


def _with(found: Case, **changes: Any) -> Case:
    return dataclasses.replace(found, geometry=tuple({**found.sizes, **changes}.items()))


def _out(subject: Subject, found: Case, x: Any, w: Any = None, b: Any = None) -> FloatArray:
    """Forward alone, of arrays that need not be the case's own."""
    subject.require(found)
    dout = np.zeros(0, found.dtype)
    given = Inputs(x, w, b, dout).map(lambda a: np.ascontiguousarray(a, found.dtype))
    return subject.forward(found, given)[0]


def _agree(subject: Subject, found: Case, got: FloatArray, want: FloatArray) -> None:
    """Both sides of a law: equal, or within the bound of both where neither is exact."""
    terms = bounds.terms(found.specs[0], "out")
    if found.op == "avg_pool":
        bound: Any = 4 * bounds.elementwise(np.full(got.shape, 40.0), terms, found.dtype)
    elif subject.exact or found.op == "max_pool":
        bound = 0.0
    else:
        size = np.full(got.shape, 100.0 * terms)
        bound = 2 * bounds.normwise(size, terms, found.dtype, factor=subject.error_factor)
    bad = bounds.first_bad(got, want, bound)
    if bad is not None:
        raise Failed(f"out{bad}")


# --- the laws -------------------------------------------------------------------------------


@law("linearity", "conv", "avg_pool")
def linearity(subject: Subject, case: Case) -> None:
    """f(2 x + 3 y) = 2 f(x) + 3 f(y), and for a convolution the same in w."""
    case = _with(case, bias=False)
    given = inputs(case)
    x, y, w = given.x, given.x[::-1, :, ::-1] - 1, given.w
    joined = _out(subject, case, 2 * x + 3 * y, w)
    _agree(subject, case, joined, 2 * _out(subject, case, x, w) + 3 * _out(subject, case, y, w))
    if w is not None:
        v = w[::-1] + 1
        joined = _out(subject, case, x, 2 * w + 3 * v)
        _agree(subject, case, joined, 2 * _out(subject, case, x, w) + 3 * _out(subject, case, x, v))


@law("translation", "conv", "max_pool", "avg_pool")
def translation(subject: Subject, case: Case) -> None:
    """An image moved by one stride gives a result moved by one place, away from the edges."""
    case = _with(case, pad=0, **({} if case.op == "conv" else {"ceil_mode": False}))
    try:
        strides = case.specs[-1].stride
    except ConvkitError:  # without its padding the image is smaller than the window
        return
    given = inputs(case)
    grown = (n + s for n, s in zip(given.x.shape[2:], strides, strict=True))
    moved = np.zeros((*given.x.shape[:2], *grown))
    moved[:, :, strides[0] :, strides[1] :] = given.x
    target = _with(case, x=moved.shape)
    out = _out(subject, target, moved, given.w, given.b)
    here = _out(subject, case, given.x, given.w, given.b)
    sizes = here.shape[2:]
    _agree(subject, case, np.ascontiguousarray(out[:, :, 1 : sizes[0] + 1, 1 : sizes[1] + 1]), here)


@law("batch-independence", "conv", "max_pool", "avg_pool")
def batch_independence(subject: Subject, case: Case) -> None:
    """An image's result does not depend on the other images of the batch."""
    given = inputs(case)
    whole = _out(subject, case, given.x, given.w, given.b)
    alone = _with(case, x=(1, *given.x.shape[1:]))
    for n in range(len(given.x)):
        part = _out(subject, alone, given.x[n : n + 1], given.w, given.b)
        _agree(subject, alone, np.ascontiguousarray(whole[n : n + 1]), part)


@law("channel-permutation", "conv", "max_pool", "avg_pool")
def channel_permutation(subject: Subject, case: Case) -> None:
    """Channels in another order, with their weights, give the same sums; filters permute out."""
    given = inputs(case)
    if case.op != "conv":
        out = _out(subject, case, given.x[:, ::-1])
        _agree(subject, case, out, _out(subject, case, given.x)[:, ::-1])
        return
    assert given.w is not None
    case = _with(case, groups=1, w=(given.w.shape[0], given.x.shape[1], *given.w.shape[2:]))
    given = inputs(case)
    assert given.w is not None
    out = _out(subject, case, given.x, given.w, given.b)
    _agree(subject, case, _out(subject, case, given.x[:, ::-1], given.w[:, ::-1], given.b), out)
    b = None if given.b is None else given.b[::-1]
    _agree(subject, case, _out(subject, case, given.x, given.w[::-1], b), out[:, ::-1])


@law("groups-are-blocks", "conv")
def groups_are_blocks(subject: Subject, case: Case) -> None:
    """A grouped convolution is as many convolutions of a part of the channels each."""
    given, spec = inputs(case), case.conv_spec
    assert given.w is not None
    whole = _out(subject, case, given.x, given.w, given.b)
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
        out = _out(subject, part, x, given.w[mine], b)
        _agree(subject, part, np.ascontiguousarray(whole[:, mine]), out)


@law("dilation-is-stuffing", "conv")
def dilation_is_stuffing(subject: Subject, case: Case) -> None:
    """A dilated kernel is a kernel with zeros between its taps."""
    given, spec = inputs(case), case.conv_spec
    assert given.w is not None
    stuffed = np.zeros((*given.w.shape[:2], *spec.window))
    stuffed[:, :, :: spec.dilation[0], :: spec.dilation[1]] = given.w
    plain = _with(case, dilation=(1, 1), w=stuffed.shape)
    out = _out(subject, plain, given.x, stuffed, given.b)
    _agree(subject, plain, _out(subject, case, given.x, given.w, given.b), out)


@law("stride-is-subsampling", "conv", "max_pool", "avg_pool")
def stride_is_subsampling(subject: Subject, case: Case) -> None:
    """A strided result is every stride-th element of the result with stride 1."""
    if case.op != "conv":
        case = _with(case, ceil_mode=False)
    given = inputs(case)
    dense_case = _with(case, stride=(1, 1))
    out = _out(subject, case, given.x, given.w, given.b)
    dense = _out(subject, dense_case, given.x, given.w, given.b)
    strides = case.specs[-1].stride
    picked = dense[:, :, :: strides[0], :: strides[1]]
    _agree(subject, case, out, np.ascontiguousarray(picked))


@law("max-is-idempotent", "max_pool")
def max_is_idempotent(subject: Subject, case: Case) -> None:
    """A window of one pixel changes nothing; pooling twice is pooling once with both windows."""
    x = inputs(case).x
    one = _with(case, kernel=(1, 1), stride=(1, 1), pad=0, ceil_mode=False)
    _agree(subject, one, _out(subject, one, x), x)
    kernel = case.sizes["kernel"]
    first = _with(case, stride=(1, 1), pad=0, ceil_mode=False)
    twice = tuple(2 * k - 1 for k in kernel)
    if any(k > n for k, n in zip(twice, x.shape[2:], strict=True)):
        return
    once = _out(subject, first, x)
    again = _out(subject, _with(first, x=once.shape), once)
    _agree(subject, first, again, _out(subject, _with(first, kernel=twice), x))


@law("average-of-constant", "avg_pool")
def average_of_constant(subject: Subject, case: Case) -> None:
    """The average of equal pixels is that pixel, wherever padding and overhang lie."""
    x = np.full(case.x_shape, 7.0)
    out = _out(subject, case, x)
    _agree(subject, case, out, np.full(out.shape, 7.0, out.dtype))
