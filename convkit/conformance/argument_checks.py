"""The checks of arguments: layouts of arrays in memory, and spellings of parameters."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from convkit.conformance import catalogue
from convkit.conformance.cases import DTYPES, Case, case
from convkit.conformance.checks import check, check_results, same, with_data
from convkit.conformance.data import constant_axis, expected, inputs
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject

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
    check_results(subject, case, subject.everything(case, moved))
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
    check_results(subject, case, {"out": subject.forward(case, given)[0]})
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
