"""The check of index width: an image of very many pixels, against a sampled reference.

Just above 2**24 of them at the default level (where a float32 ceases to count), above 2**31 with
--full, which needs some 11 GB. Almost all pixels are zero and windows lie far apart, so the
definition is evaluated at a few outputs, the last among them, and everything else must be zero.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np

from convkit import bounds
from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case, case
from convkit.conformance.checks import check
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.planes import Plane
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, NotApplicable, Subject

SIDES = {"default": 4_098, "full": 46_342}
"""Their squares are just above 2**24 and 2**31."""
STEP = 62
SAMPLES = 50
BYTES_A_PIXEL = 5.2


def _wide(op: str, level: str, seed: int) -> Iterator[Case]:
    if level not in SIDES:
        return
    shape, stride = (1, 1, SIDES[level], SIDES[level]), (STEP, STEP)
    yield case(op, "index width", seed=seed, x=shape, stride=stride, **ENTRIES[op].wide)


@check("index-width", _wide, names(lambda entry: entry.wide), seconds=1800.0)
def index_width(subject: Subject, case: Case) -> None:
    """Flat indices beyond 2**24 are right; with --full, where there is memory, beyond 2**31."""
    needed = BYTES_A_PIXEL * math.prod(case.x_shape)
    if _free_bytes() < needed:
        raise NotApplicable(f"needs {needed / 1e9:.1f} GB of free memory")
    rng = np.random.default_rng(case.seed)
    places = _places(rng, case.out_shape[2])
    x, dout = np.zeros(case.x_shape, case.dtype), np.zeros(case.out_shape, case.dtype)
    entry = ENTRIES[case.op]
    w = np.array([[[[1, 2], [3, 5]]]], case.dtype) if entry.weights else None
    windows = rng.permuted(np.tile(np.arange(1.0, 5.0), (len(places), 1)), axis=1)
    for (i, j), window in zip(places, windows, strict=True):
        x[0, 0, i * STEP : i * STEP + 2, j * STEP : j * STEP + 2] = window.reshape(2, 2)
        dout[0, 0, i, j] = rng.integers(1, 9)
    named = {"x": x, "w": w, "b": None}
    given = Inputs({name: named[name] for name in case.operation.inputs}, dout)
    out, cache = subject.forward(case, given)
    found = subject.backward(case, dout, cache)
    wanted = np.zeros_like(out)
    weights = np.full((1, 1, 2, 2), 0.25) if entry.divides else w
    wanted_dx, dw = [], np.zeros((2, 2))
    for (i, j), window in zip(places, windows.reshape(-1, 2, 2), strict=True):
        share = window == 4 if weights is None else weights[0, 0]
        wanted[0, 0, i, j] = (window * share).sum()
        wanted_dx.append(share * dout[0, 0, i, j])
        dw += window * dout[0, 0, i, j]
    _compare(subject, "out", out, wanted)
    of_x, *others = (found[name] for name in case.operation.gradients if name in found)
    for got in others:
        _compare(subject, "the weights' gradient", got[0, 0], dw)
    _compare_dx(subject, of_x, places, np.array(wanted_dx))


def _free_bytes() -> float:
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 0.0


def _places(rng: np.random.Generator, outputs: int) -> list[tuple[int, int]]:
    """Return distinct outputs, the first and the last among them."""
    chosen = {(0, 0), (outputs - 1, outputs - 1), (outputs - 1, 0)}
    while len(chosen) < SAMPLES:
        chosen.add((int(rng.integers(outputs)), int(rng.integers(outputs))))
    return sorted(chosen)


def _compare(subject: Subject, name: str, got: FloatArray, wanted: FloatArray) -> None:
    bad = np.abs(got - wanted) > _tolerance(subject, wanted)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        plane = Plane.around(name, index, got, wanted, _tolerance(subject, wanted))
        raise Failed(f"{name}{list(index)} is {got[index]!r}, expected {wanted[index]!r}", plane)


def _tolerance(subject: Subject, wanted: FloatArray) -> float:
    """None for an exact backend; else the norm-wise bound of a sum of all that is not zero."""
    if subject.exact:
        return 0.0
    largest = np.abs(wanted).max(initial=0.0, keepdims=True)
    bound = bounds.normwise(largest, 4 * SAMPLES, np.float32, factor=subject.error_factor)
    return float(bound.max())


def _compare_dx(
    subject: Subject, dx: FloatArray, places: list[tuple[int, int]], wanted: FloatArray
) -> None:
    allowed = _tolerance(subject, wanted)
    for (i, j), share in zip(places, wanted, strict=True):
        part = dx[0, 0, i * STEP : i * STEP + 2, j * STEP : j * STEP + 2]
        if (np.abs(part - share) > allowed).any():
            raise Failed(f"dx at output {(i, j)} is {part.tolist()}, expected {share.tolist()}")
    count, expected = int((np.abs(dx) > allowed).sum()), int((np.abs(wanted) > allowed).sum())
    if count != expected:
        raise Failed(f"dx has {count} values other than 0, expected {expected}")
