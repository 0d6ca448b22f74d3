"""Group normalisation in the suite, with instance and layer normalisation at its ends."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import Geometry, Problems, Symmetry
from convkit.conformance.operations import norm_space
from convkit.conformance.operations.norms import SHARED, Norm
from convkit.conformance.reference import FloatArray

GROUPED: Problems = (
    ("instance", {"x": (3, 5, 4, 7), "groups": 5}),
    ("instance", {"x": (2, 4, 9), "groups": 4, "residual": True, "relu": True}),
    ("layer", {"x": (3, 5, 4, 7), "groups": 1}),
    ("layer", {"x": (4, 7), "groups": 1, "relu": True}),
    ("plain", {"x": (2, 9, 3, 4), "groups": 3}),
    ("plain", {"x": (2, 32, 3, 3), "groups": 8}),
    ("one element", {"x": (3, 4), "groups": 4}),
    ("one element", {"x": (2, 3, 1, 1), "groups": 3, "residual": True}),
)


class GroupNorm(Norm):
    """Each image's groups of channels, over channels and pixels."""

    structured: ClassVar[Problems] = (
        *((feature, {**geometry, "groups": 2}) for feature, geometry in SHARED),
        *GROUPED,
    )
    laws: ClassVar[tuple[str, ...]] = (*Norm.laws, "batch-independence")
    several_paths: ClassVar[tuple[str, ...]] = (*Norm.several_paths, "instance", "layer")
    modes: ClassVar[tuple[Geometry, ...]] = (
        *({"groups": 1}, {"groups": 2}, {"groups": 0}, {"groups": 4}, {"groups": 3}),
    )
    """0 stands for as many as there are channels."""
    spaces: ClassVar[tuple[Space, ...]] = norm_space.GROUP
    larger: ClassVar[Geometry] = {"x": (5, 18, 9, 10), "groups": 3, "relu": True}
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (7, 18, 12, 11), "groups": 3, "relu": True, "residual": True},
        {"x": (1, 4, 40, 41), "groups": 1},
        {"x": (2, 9, 12, 13), "groups": 9},
    )
    twins: ClassVar[tuple[Geometry, ...]] = (
        {"x": (3, 4, 5, 6), "groups": 2},
        {"x": (3, 4, 5, 6), "groups": 2, "eps": 2.0},
        {"x": (3, 4, 5, 6), "groups": 2, "relu": True},
        {"x": (3, 4, 5, 6), "groups": 2, "residual": True},
        {"x": (3, 4, 5, 6), "groups": 4},
        {"x": (3, 4, 5, 6), "groups": 1},
        {"x": (3, 4, 6, 5), "groups": 2},
    )
    constants: ClassVar[tuple[Geometry, ...]] = (
        *({"x": (2, 4, 41, 42), "groups": 2}, {"x": (5, 4), "groups": 2}),
        *({"x": (2, 3, 3, 5), "groups": 3, "relu": True}, {"x": (1, 2, 75_000), "groups": 1}),
    )

    def sets(self, case: Case, a: FloatArray) -> FloatArray:
        """Images and groups together, first."""
        spec = case.specs[0]
        size = math.prod(a.shape[2:])
        return a.reshape(len(a) * spec.groups, a.shape[1] // spec.groups, size)

    def fit(self, mode: Geometry, x: tuple[int, ...]) -> Geometry:
        """The nearest number of groups that divides the channels."""
        wanted = min(mode["groups"] or x[1], x[1])
        return {"groups": next(g for g in range(wanted, 0, -1) if x[1] % g == 0)}

    def arguments(
        self, case: Case, given: Inputs, param: dict[str, Any] | None, *, infer: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return x, gamma and beta; what else there is by name."""
        *arrays, residual = given.named.values()
        if param:
            return (*arrays, param), {"residual": residual}
        return tuple(arrays), {"residual": residual, **case.params[0]}

    def symmetries(self, case: Case, given: Inputs) -> Iterator[Symmetry]:
        """Groups in another order."""
        yield from super().symmetries(case, given)
        groups = case.specs[0].groups

        def turn(a: Any, axis: int) -> Any:
            if a is None:
                return None
            shape = (*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])
            return np.flip(a.reshape(shape), axis).reshape(a.shape)

        turned = given.replaced(
            x=turn(given.x, 1), gamma=turn(given.gamma, 0), beta=turn(given.beta, 0),
            residual=turn(given.residual, 1),
        )  # fmt: skip
        yield Symmetry("groups reversed", case, turned, lambda out: turn(out, 1))
        if given.x.shape[2:] and math.prod(given.x.shape[2:]) == 1:
            plane = given.x.shape[:2]
            flat = dataclasses.replace(case, geometry=tuple({**case.sizes, "x": plane}.items()))
            changed = given.map(lambda a: a.reshape(plane) if a.ndim > 1 else a)
            yield Symmetry("without its axes", flat, changed, lambda out: out.reshape(plane))
