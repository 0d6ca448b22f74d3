"""What an operation brings to the suite: problems, exact data, its reference and its laws.

An operation is a class in `convkit.conformance.operations`, listed in `entries` under its name in
`convkit.operations`. The checks read what it says here and name no operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from convkit.conformance.arrays import Arrays, Expected, Inputs
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.reference import FloatArray

Geometry: TypeAlias = dict[str, Any]
Problems: TypeAlias = tuple[tuple[str, Geometry], ...]
"""Geometries, each with the feature that it is counted under."""


FastResults: TypeAlias = dict[str, Any]
"""Results by name, out first: in float64, or with bounds of their own as `Expected`."""


class Symmetry(NamedTuple):
    """Another problem, and how its out follows from the first one's (or from its bound)."""

    said: str
    case: Case
    given: Inputs
    out: Callable[[FloatArray], FloatArray]


class Moved(NamedTuple):
    """A parameter dictionary with running statistics, and how training moves them."""

    table: dict[str, Any]
    wanted: dict[str, Expected]
    """By key of the dictionary: each is replaced by a new array."""
    at_rest: Case
    """The same problem where the running statistics are used, and stay."""


class Vanishing(NamedTuple):
    """Numbers that must be 0, up to a bound of each."""

    said: str
    values: FloatArray
    bound: FloatArray


class Entry:
    """One operation of the suite. Geometries are as `convkit.conformance.cases` takes them.

    Attributes
    ----------
    structured, structured_beyond_quick:
        Hand-made problems, and those that the quick level leaves out.
    empty:
        The problems that are asked with N = 0 as well, where their feature is a plain one;
        those of ``structured`` where it is empty.
    weights:
        The inputs that the others are multiplied by.
    selects:
        Whether it takes a maximum, so that ties and not-a-numbers need rules.
    rounds:
        Whether out is rounded at all.
    divides:
        Whether it divides, so that integers need not give exact results.
    decided_by_rounding:
        Whether rounding of a value in between may decide where a gradient goes.
    indexed:
        Whether the API has ``<name>_indices``, which says where each maximum is.
    ties:
        The kinds of ``ties-`` data that it is asked with.
    distinct, step:
        Data on which it is linear within a step of ``step``, for central differences.
    laws:
        The names of the laws in `convkit.conformance.properties` that hold for it.
    several_paths:
        Features of ``structured`` that a backend may have a path of its own for.
    spaces:
        Spaces of problems for the check ``space``.
    share:
        The share of what a level spends on a space, where most of an operation is another's.
    various:
        Features of ``structured`` that are asked in every layout, and with subnormal numbers.
    per_image:
        The inputs whose first axis counts images.
    curved:
        Whether it is not linear in x, so that differences need small steps and results of integers
        are rounded.
    composed_alone:
        Whether convkit composes it without any backend, so that a backend without its methods has
        no part in it.
    constants:
        Problems whose x is one constant, of which nothing may be left.
    momenta:
        Parameters by which forward moves running statistics, for the check statistics.
    larger, parallel, twins, spelled, padded_same, wide:
        Problems for one check each: repeat, threads, twins, parameters, parameters-same and
        index-width (without x and stride). Empty where a check does not apply.
    """

    structured: ClassVar[Problems] = ()
    structured_beyond_quick: ClassVar[Problems] = ()
    empty: ClassVar[Problems] = ()
    weights: ClassVar[tuple[str, ...]] = ()
    selects = False
    rounds = True
    divides = False
    decided_by_rounding = False
    indexed = False
    ties: ClassVar[tuple[str, ...]] = ()
    distinct = "ties-small"
    step = 1.0
    laws: ClassVar[tuple[str, ...]] = ()
    several_paths: ClassVar[tuple[str, ...]] = ()
    various: ClassVar[tuple[str, ...]] = ("plain", "pad", "1x1", "groups")
    per_image: ClassVar[tuple[str, ...]] = ("x",)
    curved = False
    composed_alone = False
    constants: ClassVar[tuple[Geometry, ...]] = ()
    momenta: ClassVar[tuple[dict[str, Any], ...]] = ()
    spaces: ClassVar[tuple[Space, ...]] = ()
    share = 1.0
    larger: ClassVar[Geometry] = {}
    parallel: ClassVar[tuple[Geometry, ...]] = ()
    twins: ClassVar[tuple[Geometry, ...]] = ()
    spelled: ClassVar[Geometry] = {}
    padded_same: ClassVar[tuple[Geometry, ...]] = ()
    wide: ClassVar[Geometry] = {}

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """Problems with ``size`` in one dimension, each with the name of the dimension."""
        raise NotImplementedError

    def extremes(self, level: str) -> Iterator[Geometry]:
        """Sizes that no byte, no short and no fixed buffer holds; cheap, because all else is 1."""
        raise NotImplementedError

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small problem, which need not be valid."""
        raise NotImplementedError

    def searched(self, draw: Any, flag: Any) -> Geometry:
        """Draw a problem for a law: ``draw(low, high)`` gives an int, ``flag()`` a bool."""
        raise NotImplementedError

    def exact(self, case: Case, rng: np.random.Generator) -> Arrays:
        """Draw integers small enough that every sum is exact in any order in the case's dtype.

        And large enough that a computation in less precision is not.
        """
        raise NotImplementedError

    def large(self, level: str) -> Iterator[Geometry]:
        """Problems with one large number, where all else is small enough to be cheap."""
        raise NotImplementedError

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return the results of exact data by `convkit.conformance.fast_reference`."""
        raise NotImplementedError

    def fitted(self, case: Case, arrays: Arrays) -> Arrays:
        """Return arrays of any kind of data as the operation can take them."""
        return arrays

    def smooth(self, case: Case, rng: np.random.Generator) -> Arrays:
        """Draw data around which a curved operation has derivatives."""
        raise NotImplementedError

    def arguments(
        self, case: Case, given: Inputs, param: dict[str, Any] | None, *, infer: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what the API's forward, or inference, is called with."""
        arrays = tuple(given.named.values())
        if param or len(case.params) > 1:
            return (*arrays, *([param] if param else case.params)), {}
        return arrays, case.params[0]

    def statistics(self, case: Case, args: tuple[Any, ...]) -> dict[str, FloatArray]:
        """Return what a forward call with ``args`` gave besides out."""
        return {}

    def moved(self, case: Case, given: Inputs, options: dict[str, Any], seed: int) -> Moved:
        """Return how training with ``options``, one of ``momenta``, moves running statistics."""
        raise NotImplementedError

    def neighbours(self, case: Case) -> Iterator[Geometry]:
        """Return a larger and a differently padded problem, which a workspace may mix up."""
        sizes = case.sizes
        yield {**sizes, "x": (sizes["x"][0] + 1, sizes["x"][1], *(s + 3 for s in sizes["x"][2:]))}
        padded = ((0, 1), *((1, 0),) * (len(sizes["x"]) - 3))
        if "w" in case.shapes or min(case.specs[-1].window) > 1:
            yield {**sizes, "pad": padded}

    def symmetries(self, case: Case, given: Inputs) -> Iterator[Symmetry]:
        """Return other problems whose out follows from this one's."""
        return iter(())

    def vanishing(self, case: Case, given: Inputs, results: Any) -> Iterator[Vanishing]:
        """Return sums over gradients that must be 0."""
        return iter(())

    def separated(self, case: Case, arrays: Arrays) -> Arrays:
        """Return data on which rounding decides nothing, made from a permutation of integers."""
        raise NotImplementedError

    def indices(self, case: Case, arrays: Arrays) -> Any:
        """Return the flat index, within its plane, of each maximum by the reference."""
        raise NotImplementedError

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return the reference's out and gradients by name, from widened arrays.

        ``rounds`` says whether a backend may round on this kind of data.
        """
        raise NotImplementedError


# --- drawing --------------------------------------------------------------------------------


def draw_ints(rng: np.random.Generator, axes: int, low: int, high: int) -> tuple[int, ...]:
    """Draw ints in [low, high], all different where the range allows."""
    different = high - low + 1 >= axes
    return tuple(int(v) for v in rng.choice(np.arange(low, high + 1), axes, replace=not different))


def draw_axes(rng: np.random.Generator) -> int:
    """Draw a number of spatial axes; mostly two."""
    return int(rng.choice([2, 2, 2, 2, 2, 2, 1, 3]))


def draw_pads(rng: np.random.Generator, axes: int, high: int) -> tuple[tuple[int, int], ...]:
    """Draw (begin, end) pairs of at most ``high``."""
    return tuple((int(b), int(e)) for b, e in rng.integers(0, high + 1, (axes, 2)))
