"""The checks of values: results equal the reference, case by case, also for special values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from convkit.conformance import catalogue
from convkit.conformance.cases import Case
from convkit.conformance.checks import (
    bits,
    check,
    check_results,
    decided_by_rounding,
    run_both,
    same,
    shape,
    untouched,
    with_data,
)
from convkit.conformance.data import expected, inputs
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.subject import Subject, agree
from convkit.operations import OPERATIONS
from convkit.spec import PAD_MODES

# --- tier A and B ---------------------------------------------------------------------------


def _all_exact(op: str, level: str, seed: int) -> Iterator[Case]:
    return with_data(catalogue.geometries(op, level, seed), "exact")


@check("forward-exact", _all_exact)
def forward_exact(subject: Subject, case: Case) -> None:
    """out equals the reference on integers whose sums are exact in any order."""
    given = inputs(case).copies()
    out, _ = subject.forward(case, given)
    check_results(subject, case, {"out": out})
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
    check_results(subject, case, {"out": out})
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
    """Return the gradients in which a non-finite dout lies over padding: those of the weights.

    What is not finite in x makes the dout of a convolution so, where a norm in training follows.
    """
    weights, spec = ENTRIES[found.op].weights, found.specs[0]
    copies = getattr(spec, "pad_mode", PAD_MODES[0]) != PAD_MODES[0]  # pixels, which are terms
    reached = found.data.endswith("-dout") or found.moves
    if not weights or not reached or copies or not any(map(any, spec.pad)):
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
        if not decided_by_rounding(subject, case):
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
    check_results(subject, case, subject.everything(case, inputs(case).copies()))


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
    check_results(subject, case, {"out": out})
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
