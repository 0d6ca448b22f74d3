"""The checks of values: what a backend must answer, case by case.

A check is a named, documented function of (subject, case) that returns when the backend is right
and raises `Failed` when it is not; the registry of checks is the list of what a backend is held
to. Results are judged against the reference within `convkit.bounds`, never against a backend.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convkit.conformance import catalogue
from convkit.conformance.arrays import Expected, Inputs
from convkit.conformance.cases import DTYPES, Case, case
from convkit.conformance.data import constant_axis, expected, inputs
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject, agree
from convkit.operations import OPERATIONS
from convkit.spec import PAD_MODES

Runner = Callable[[Subject, Case], str | None]
"""Returns where the backend is right; a text is a remark, which is no failure."""
Maker = Callable[[str, str, int], Iterable[Case]]


@dataclass(frozen=True)
class Check:
    """A named check: how to run it on a case, and its cases for (operation, level, seed)."""

    name: str
    summary: str
    run: Runner
    make: Maker
    operations: tuple[str, ...]
    isolated: bool = False
    """Whether a wrong backend may crash or hang in it, so that it runs in a child process."""
    seconds: float | None = None
    """How long one case may take in a child process before it counts as a hang; None: as usual."""
    strict: bool = True
    """Whether a failure that a backend expects has to happen."""
    rationed: bool = False
    """Whether a slow backend is asked only as many cases as a level has time for."""

    def cases(self, level: str, seed: int, without: Iterable[str] = ()) -> Iterator[Case]:
        """Return the check's cases in order: by operation, each in float32 and float64."""
        for op in self.operations:
            if op not in without:
                yield from self.make(op, level, seed)


CHECKS: dict[str, Check] = {}


def check(
    name: str,
    make: Maker,
    operations: tuple[str, ...] = tuple(ENTRIES),
    *,
    isolated: bool = False,
    seconds: float | None = None,
    strict: bool = True,
    rationed: bool = False,
) -> Callable[[Runner], Runner]:
    """Register a check; its docstring's first line is its summary."""

    def register(run: Runner) -> Runner:
        summary = (run.__doc__ or "").strip().splitlines()[0]
        CHECKS[name] = Check(
            name, summary, run, make, operations, isolated, seconds, strict, rationed
        )
        return run

    return register


def with_data(cases: Iterable[Case], data: str, feature: str = "", **extra: Any) -> Iterator[Case]:
    """Return cases in both dtypes, with a kind of data, a feature and extra values."""
    for found in cases:
        for dtype in DTYPES:
            yield dataclasses.replace(
                found,
                dtype=dtype,
                data=data,
                feature=feature or found.feature,
                extra=(*found.extra, *extra.items()),
            )


# --- judging --------------------------------------------------------------------------------


def same(subject: Subject, name: str, got: FloatArray, want: Expected, case: Case) -> None:
    """Raise Failed at the first element of a result beyond its bound."""
    if want.lenient and got.shape == want.ref.shape:
        want = dataclasses.replace(want, ref=np.where(want.undecided(got), got, want.ref))
    if not subject.exact and want.limit is None:
        want = dataclasses.replace(want, S=np.maximum(want.S, _largest(name, case)))
    bound = want.bound(
        case.dtype,
        exact_backend=subject.exact or not ENTRIES[case.op].rounds,
        factor=subject.error_factor,
        random=case.data == "real",
    )
    shape(name, got, want.ref.shape, case.dtype)
    agree(name, got, want.ref, bound)


def _largest(name: str, case: Case) -> float:
    """Return the largest product of what a result is a sum of products of.

    A transform spreads the rounding errors of all that it transforms, also of what meets padding
    alone and is not counted in S, as the outer weights on an image of one column.
    """
    found = inputs(dataclasses.replace(case, extra=()))
    given = {**dict(found.given()), "dout": found.dout}
    factors = {"x", *ENTRIES[case.op].weights}
    if name in case.operation.gradients:
        of = name[1:]
        factors = {"dout", *(factors - {of} if of in factors else ())}
    finite = (np.abs(given[n][np.isfinite(given[n])]) for n in sorted(factors))
    return float(math.prod(a.max(initial=0) for a in finite))


def shape(name: str, got: FloatArray, wanted: tuple[int, ...], dtype: str) -> None:
    """Raise Failed unless shape, dtype and contiguity are as agreed."""
    if got.shape != wanted or got.dtype != np.dtype(dtype) or not got.flags.carray:
        raise Failed(
            f"{name} has shape {got.shape}, dtype {got.dtype}, C-contiguous and writable "
            f"{got.flags.carray}; expected {wanted}, {dtype}, True"
        )


def bits(name: str, got: FloatArray, before: FloatArray, what: str) -> None:
    """Raise Failed where two results differ in a bit."""
    if got.tobytes() != before.tobytes():
        agree(f"{what}: {name}", got, before)
        raise Failed(f"{what}: {name} in the sign of a zero or the bits of a NaN")


def untouched(given: Inputs, original: Inputs) -> None:
    """Raise Failed where an input was written to, or locked."""
    for name, now, before in zip(given.names, given.all, original.all, strict=True):
        if now is not None and not now.flags.writeable:
            raise Failed(f"the input {name} was made read-only")
        if now is not None and before is not None and now.tobytes() != before.tobytes():
            said = f"the input {name} was written to"
            agree(f"{said}: {name}", now, before)
            raise Failed(f"{said}: {name} in the sign of a zero or the bits of a NaN")


OUTS = {"out", "inferred"}
"""Results that are out: of forward, and of inference."""


def judge(
    subject: Subject, case: Case, results: dict[str, FloatArray], apart: Iterable[str] = ()
) -> None:
    """Hold every result of a case to the reference; all that is expected must be there.

    The values of the gradients that ``apart`` names are another check's.
    """
    wanted = expected(case)
    gradients = results.keys() & {*case.operation.gradients}
    due = wanted.keys() & {*case.operation.gradients}
    if gradients and gradients != due:
        raise Failed(f"got {sorted(gradients)}, expected {sorted(due)}")
    for name, got in results.items():
        if name in OUTS:
            said = "out" if name == "out" else "inference's out"
            same(subject, said, got, wanted["out"], case)
        elif name not in apart and not _decided_by_rounding(subject, case):
            same(subject, name, got, wanted[name], case)


def _decided_by_rounding(subject: Subject, case: Case) -> bool:
    """Whether rounding may change which pixel wins, and with it every gradient."""
    if not ENTRIES[case.op].decided_by_rounding or case.data == "separated":
        return False
    return not subject.exact or case.data == "real"


def run_both(subject: Subject, case: Case, apart: Iterable[str] = ()) -> None:
    """Forward, backward and inference on fresh copies; inputs must come back as they were."""
    given = inputs(case).copies()
    results = subject.everything(case, given)
    judge(subject, case, results, apart)
    untouched(given, inputs(case))


# --- tier A and B ---------------------------------------------------------------------------


def _all_exact(op: str, level: str, seed: int) -> Iterator[Case]:
    return with_data(catalogue.geometries(op, level, seed), "exact")


@check("forward-exact", _all_exact)
def forward_exact(subject: Subject, case: Case) -> None:
    """out equals the reference on integers whose sums are exact in any order."""
    given = inputs(case).copies()
    out, _ = subject.forward(case, given)
    judge(subject, case, {"out": out})
    untouched(given, inputs(case))


@check("backward-exact", _all_exact)
def backward_exact(subject: Subject, case: Case) -> None:
    """dx, dw and db equal the reference on integers whose sums are exact in any order."""
    run_both(subject, case)


def _real(op: str, level: str, seed: int) -> Iterator[Case]:
    found = catalogue.geometries(op, level, seed)
    if level == "quick":
        found = [c for c in found if not c.feature.startswith(("blocks", "extremes"))]
    return with_data((dataclasses.replace(c, seed=c.seed + 1000 * seed) for c in found), "real")


@check("real", _real)
def real(subject: Subject, case: Case) -> None:
    """Results on normally distributed reals stay within the error bound.

    Gradients are left out where rounding decides which element is the largest.
    """
    run_both(subject, case)


def _structured_exact(op: str, level: str, seed: int) -> Iterator[Case]:
    return with_data((c for c in catalogue.structured(op, level) if c.infers), "exact")


@check("infer", _structured_exact, tuple(n for n in ENTRIES if OPERATIONS[n].infer))
def infer(subject: Subject, case: Case) -> None:
    """Inference without a cache gives the forward function's out."""
    given = inputs(case).copies()
    out = subject.infer(case, given)
    judge(subject, case, {"out": out})
    untouched(given, inputs(case))
    kept = out.copy()
    subject.infer(case, inputs(dataclasses.replace(case, seed=case.seed + 1)).copies())
    bits("out", out, kept, "an earlier result after a second call")


# --- special values -------------------------------------------------------------------------

_SPECIAL = ("nan", "inf", "ninf", "mixed")


def _nonfinite(op: str, level: str, seed: int) -> Iterator[Case]:
    left_out = ("large sums", "course", "one element")
    found = [c for c in catalogue.structured(op, level) if c.feature not in left_out]
    for i, c in enumerate(found):
        kinds = _SPECIAL if level != "quick" else (_SPECIAL[i % 4], _SPECIAL[(i + 1) % 4])
        for kind in kinds:
            for where in ("x", "dout"):
                yield from with_data([c], f"nonfinite-{kind}-{where}", "non-finite")
        if ENTRIES[op].weights and (level != "quick" or i % 2 == 0):
            yield from with_data([c], "nonfinite-zero-x", "non-finite")


@check("nonfinite", _nonfinite)
def nonfinite(subject: Subject, case: Case) -> None:
    """A NaN or infinity reaches exactly the results whose windows contain it.

    What padding may not meet in a gradient of weights is the check nonfinite-padding.
    """
    run_both(subject, case, _meets_padding(case))


def _meets_padding(found: Case) -> tuple[str, ...]:
    """Return the gradients in which a non-finite dout lies over padding: those of the weights."""
    weights, spec = ENTRIES[found.op].weights, found.specs[0]
    copies = getattr(spec, "pad_mode", PAD_MODES[0]) != PAD_MODES[0]  # pixels, which are terms
    if not weights or not found.data.endswith("-dout") or copies or not any(map(any, spec.pad)):
        return ()
    return tuple(f"d{name}" for name in weights)


def _nonfinite_padding(op: str, level: str, seed: int) -> Iterator[Case]:
    return (c for c in _nonfinite(op, level, seed) if _meets_padding(c))


@check("nonfinite-padding", _nonfinite_padding, names(lambda e: e.weights), strict=False)
def nonfinite_padding(subject: Subject, case: Case) -> None:
    """A padded zero meets no dout: an infinite one leaves no NaN in the weights' gradient.

    A backend that pads with zeros and multiplies breaks this. It may declare so, in its
    ``expected_failures``, and need not fail every time.
    """
    given = inputs(case).copies()
    _, cache = subject.forward(case, given)
    found = subject.backward(case, given.dout, cache)
    for name in _meets_padding(case):
        if not _decided_by_rounding(subject, case):
            same(subject, name, found[name], expected(case)[name], case)


def _ties(op: str, level: str, seed: int) -> Iterator[Case]:
    found = [c for c in catalogue.structured(op, level) if c.feature != "course"]
    kinds = ENTRIES[op].ties
    few = level != "quick" or len(kinds) <= 4
    for i, c in enumerate(found):
        for kind in kinds if few else [kinds[(i * 4 + j) % len(kinds)] for j in range(4)]:
            yield from with_data([c], f"ties-{kind}", "ties")


@check("ties", _ties, names(lambda entry: entry.selects))
def ties(subject: Subject, case: Case) -> None:
    """Of equal maxima the first takes the whole gradient; NaN wins, padding never does."""
    judge(subject, case, subject.everything(case, inputs(case).copies()))


def _indexed(op: str, level: str, seed: int) -> Iterator[Case]:
    """Every structured problem, with another kind of data for each."""
    kinds = ("exact", "nonfinite-mixed-x", *(f"ties-{kind}" for kind in ENTRIES[op].ties))
    for i, found in enumerate(catalogue.structured(op, level)):
        few = (kinds[i % len(kinds)], kinds[(i + 3) % len(kinds)])
        for kind in kinds if level != "quick" else few:
            yield from with_data([found], kind, "indices")


@check("indices", _indexed, names(lambda entry: entry.indexed))
def indices(subject: Subject, case: Case) -> None:
    """The index of a maximum is that of the first in its window, within its plane, in int64."""
    given = inputs(case).copies()
    out, found = subject.indices(case, given)
    judge(subject, case, {"out": out})
    untouched(given, inputs(case))
    wanted = ENTRIES[case.op].indices(case, dict(given.given()))
    shape("indices", found, out.shape, "int64")
    agree("indices", found.astype(np.float64), wanted.astype(np.float64))


def _separated(op: str, level: str, seed: int) -> Iterator[Case]:
    for found in catalogue.structured(op, level):
        if "pad" not in found.sizes:
            yield from with_data([found], "separated")


@check("separated", _separated, names(lambda entry: entry.decided_by_rounding))
def separated(subject: Subject, case: Case) -> None:
    """Where rounding decides no maximum and no sign, a backend with exact = False is right too."""
    run_both(subject, case)


def _denormal(op: str, level: str, seed: int) -> Iterator[Case]:
    wanted = ENTRIES[op].various
    found = [c for c in catalogue.structured(op, level) if c.feature in wanted]
    return with_data(found, "denormal", "denormal")


@check("denormal", _denormal, names(lambda entry: not entry.selects))
def denormal(subject: Subject, case: Case) -> None:
    """Around the smallest normal number results stay within the bound, flushed to 0 or not."""
    run_both(subject, case)


@check("empty-batch", lambda op, level, seed: with_data(catalogue.empty_batches(op), "exact"))
def empty_batch(subject: Subject, case: Case) -> None:
    """N = 0 gives an empty out and dx, and dw and db of zeros."""
    run_both(subject, case)


# --- layouts and parameters -----------------------------------------------------------------

LAYOUTS = (
    *("F", "transposed", "negative", "sliced", "misaligned", "swapped", "readonly", "memmap"),
    *("broadcast-0", "broadcast-1", "broadcast-2"),
)


def arrange(a: FloatArray, layout: str) -> FloatArray:
    """Return the same values in another layout in memory."""
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "transposed":
        order = tuple(reversed(range(a.ndim)))
        return np.ascontiguousarray(a.transpose(order)).transpose(order)
    if layout == "negative":
        flipped = (slice(None, None, -1),) * a.ndim
        return np.ascontiguousarray(a[flipped])[flipped]
    if layout == "sliced":
        wide = np.full((*a.shape[:-1], a.shape[-1] * 3 + 1), 7, a.dtype)
        wide[..., 1::3] = a
        return wide[..., 1::3]
    if layout.startswith("broadcast"):  # a stride of zero; the values are equal along the axis
        return np.broadcast_to(a.take([0], axis=constant_axis(a, layout)), a.shape)
    if layout == "misaligned":
        raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
        moved = raw.view(a.dtype).reshape(a.shape)
        moved[...] = a
        return moved
    if layout == "unit":  # of an axis of length 1 the stride is nobody's business
        odd = (s if n > 1 else 7 * a.itemsize for n, s in zip(a.shape, a.strides, strict=True))
        return np.lib.stride_tricks.as_strided(a.copy(), a.shape, tuple(odd))
    if layout == "swapped":
        return a.astype(a.dtype.newbyteorder("S"))
    if layout == "memmap":  # read-only to the processor as well: writing ends the process
        with tempfile.TemporaryFile() as file:
            file.write(a.tobytes())
            return np.memmap(file, a.dtype, "r", shape=a.shape)
    locked = a.copy()
    locked.flags.writeable = False
    return locked


def _layouts(op: str, level: str, seed: int) -> Iterator[Case]:
    wanted = ENTRIES[op].various
    seen: set[str] = set()
    for found in catalogue.structured(op, level):
        if found.feature in wanted and (level != "quick" or found.feature not in seen):
            seen.add(found.feature)
            for layout in LAYOUTS:
                yield from with_data([found], "exact", "layouts", layout=layout)
        if set(found.x_shape[2:]) == {1}:
            yield from with_data([found], "exact", "layouts", layout="unit")


@check("layout", _layouts)
def layout(subject: Subject, case: Case) -> None:
    """Strides, byte order, alignment and read-only inputs change no result."""
    how = case.get("layout")
    plain = inputs(case)
    moved = plain.map(lambda a: arrange(a, how))
    values = moved.map(lambda a: np.array(a, case.dtype, order="C"))
    open_before = [a is not None and a.flags.writeable for a in moved.all]
    judge(subject, case, subject.everything(case, moved))
    if [a is not None and a.flags.writeable for a in moved.all] != open_before:
        raise Failed("an input was made read-only, or one that was read-only writable")
    for name, now, before in zip(moved.names, moved.all, values.all, strict=True):
        if now is not None and before is not None and not np.array_equal(now, before):
            raise Failed(f"the input {name} was written to")


def _parameters(op: str, level: str, seed: int) -> Iterator[Case]:
    for dtype in DTYPES:
        yield case(op, "parameters", dtype=dtype, **ENTRIES[op].spelled)


@check("parameters", _parameters, names(lambda entry: entry.spelled))
def parameters(subject: Subject, case: Case) -> None:
    """Parameters as dictionary, keyword, int, tuple and pair mean the same."""
    given = inputs(case)
    judge(subject, case, {"out": subject.forward(case, given)[0]})
    for spelled in spellings(case):
        out, _ = subject.forward(spelled, given)
        same(subject, f"with {spelled}: out", out, expected(case)["out"], case)
    for param in dictionaries(case):
        results = subject.both(case, given, param)
        for name, value in results.items():
            same(subject, f"with {param}: {name}", value, expected(case)[name], case)


def _same_padding(op: str, level: str, seed: int) -> Iterator[Case]:
    """Problems whose pad is what "same" means, or whose dilation is one number."""
    found = [case(op, "parameters", **geometry) for geometry in ENTRIES[op].padded_same]
    yield from with_data(found, "exact")


@check("parameters-same", _same_padding, names(lambda entry: entry.padded_same))
def parameters_same(subject: Subject, case: Case) -> None:
    """pad="same" puts the odd one at the end; an int dilation holds for every axis."""
    given = inputs(case)
    param = dict(case.params[0])
    if isinstance(param.get("dilation"), tuple):
        param["dilation"] = param["dilation"][0]
    else:
        param["pad"] = "same"
    for name, value in subject.both(case, given, param).items():
        same(subject, f"with {param}: {name}", value, expected(case)[name], case)


def dictionaries(found: Case) -> Iterator[dict[str, Any]]:
    """Return the geometry as a dictionary, with the course's spellings too."""
    yield dict(found.params[0])
    param, table = dict(found.params[0]), found.operation.parameters[0]
    for key, spelled in table.spellings.items():
        value = param.pop(key)
        values = (value,) * len(spelled) if isinstance(value, int) else value
        param = {**dict(zip(spelled, values, strict=True)), **param}
    if table.spellings:
        yield param


def spellings(found: Case) -> Iterator[Case]:
    """Return the same problem with its geometry spelled in other ways."""
    values = found.sizes
    axes = len(values["x"]) - 2
    for key in ("stride", "kernel"):
        if key in values:
            values = {**values, key: (values[key],) * axes}
            yield dataclasses.replace(found, geometry=tuple(values.items()))
    for pad in ((values["pad"],) * axes, ((values["pad"],) * 2,) * axes):
        yield dataclasses.replace(found, geometry=tuple({**values, "pad": pad}.items()))
