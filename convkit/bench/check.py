"""Results are checked before and after they are timed: a wrong backend gets no figures.

The second time the data are others, in the arrays of the first time, so that a backend that
remembers its answers, by shape or by where its inputs lie, is found, and so is one that goes wrong
after some calls.

The data are integers small enough for every sum to be exact in the dtype, whatever its order, so
convolution and max pooling must equal the reference, gradients included. In float64 the data need
more than 24 bits, or arithmetic in float32 would pass. Average pooling divides, and a backend with
``exact = False`` rounds: those are compared within the error bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convkit import bounds
from convkit.bench.problems import Arrays, Problem
from convkit.bench.subjects import Subject, dtype_of, error_factor, is_exact
from convkit.conformance import reference
from convkit.errors import ConvkitError
from convkit.spec import ConvSpec, PoolSpec

LARGEST = {np.dtype(np.float32): 4, np.dtype(np.float64): 4096}


class WrongAnswerError(ConvkitError):
    """A subject's result is wrong, so it is not timed."""


def integers(problem: Problem, dtype: Any, seed: int = 1) -> Arrays:
    """Data for :func:`reject_wrong`: every sum of products of them is exact."""
    rng = np.random.default_rng(seed)
    largest = LARGEST[np.dtype(dtype)]
    return {
        name: rng.integers(-largest, largest + 1, shape).astype(dtype)
        for name, shape in problem.shapes.items()
    }


def expected(problem: Problem, data: Arrays) -> Arrays:
    """Every result by name, in float64, from the reference implementation."""
    wide = {name: array.astype(np.float64) for name, array in data.items()}
    spec: Any = problem.spec(np.float64)
    if isinstance(spec, ConvSpec):
        return {
            "out": reference.conv_forward(spec, wide["x"], wide["w"], wide["b"]),
            "dx": reference.conv_dx(spec, wide["dout"], wide["w"]),
            "dw": reference.conv_dw(spec, wide["dout"], wide["x"]),
            "db": reference.conv_db(spec, wide["dout"]),
        }
    if problem.kind == "max":
        out, winner = reference.max_pool_forward(spec, wide["x"])
        return {"out": out, "dx": reference.max_pool_dx(spec, wide["dout"], winner)}
    return {
        "out": reference.avg_pool_forward(spec, wide["x"]),
        "dx": reference.avg_pool_dx(spec, wide["dout"]),
    }


def tolerances(problem: Problem, data: Arrays, subject: Subject) -> dict[str, Any]:
    """The error bound of every result; 0 where it must be exact."""
    names = ("out", *problem.operation.gradients)
    if problem.kind == "max" or (problem.is_conv and is_exact(subject)):
        return dict.fromkeys(names, 0.0)
    dtype = dtype_of(data)
    spec: ConvSpec | PoolSpec = problem.spec(dtype)
    sizes = expected(problem, {name: np.abs(array) for name, array in data.items()})
    found: dict[str, Any] = {}
    for name in names:
        terms = bounds.terms(spec, name)
        if is_exact(subject):
            found[name] = 2 * bounds.elementwise(sizes[name], terms, dtype)
        else:
            factor = error_factor(subject)
            found[name] = bounds.normwise(sizes[name], terms, dtype, factor=factor)
    return found


@dataclass
class Checker:
    """The checks of some subjects on one problem, on the same arrays each time."""

    problem: Problem
    subjects: list[Subject]
    dtype: Any
    arrays: dict[str, Arrays] = field(default_factory=dict)
    """Those of each subject."""

    def reject_wrong(self, seed: int = 1, when: str = "") -> None:
        """Raise WrongAnswerError at the first subject that gets a result wrong.

        ``seed`` is that of the data, and ``when`` says when in the error.
        """
        data = integers(self.problem, self.dtype, seed)
        wanted = expected(self.problem, data)
        for subject in self.subjects:
            mine = self.arrays.setdefault(subject.name, {n: a.copy() for n, a in data.items()})
            for name, array in data.items():
                mine[name][...] = array
            limits = tolerances(self.problem, data, subject)
            calls = subject.calls(self.problem, mine)
            for direction in ("forward", "backward"):
                for name, got in calls[direction]().items():
                    self._compare(subject, name, got, wanted[name], limits[name], when)

    def _compare(
        self, subject: Subject, name: str, got: Any, want: Any, limit: Any, when: str
    ) -> None:
        bad = bounds.first_bad(got, want, limit)
        if bad is not None or got.dtype != np.dtype(self.dtype):
            reason = bad or f"its dtype is {got.dtype}"
            raise WrongAnswerError(
                f"backend {subject.name!r} is not timed: its {name} of {self.problem.name} "
                f"({np.dtype(self.dtype)}) is wrong{when}: {reason}"
            )


def reject_wrong(problem: Problem, subjects: list[Subject], dtype: Any) -> None:
    """Raise WrongAnswerError at the first subject that gets a result of ``problem`` wrong."""
    Checker(problem, subjects, dtype).reject_wrong()
