"""Batch normalisation in the suite: in training, and with running statistics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np

from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import FastResults, Geometry, Moved, Problems, Symmetry
from convkit.conformance.operations import norm_space
from convkit.conformance.operations.norms import SHARED, Norm
from convkit.conformance.reference import FloatArray

FROZEN: Problems = (
    ("frozen", {"x": (3, 4, 5, 7), "training": False}),
    ("frozen", {"x": (5, 4), "training": False}),
    ("frozen relu", {"x": (2, 3, 7, 5), "relu": True, "training": False}),
    ("frozen residual", {"x": (2, 4, 5, 3), "residual": True, "training": False}),
    (
        "frozen residual relu",
        {"x": (3, 4, 3, 6), "residual": True, "relu": True, "training": False},
    ),
    ("frozen", {"x": (1, 3, 1, 1), "training": False}),
    ("frozen eps", {"x": (3, 4, 5, 2), "eps": 0.0, "training": False}),
    ("frozen eps", {"x": (3, 4, 5, 2), "eps": 9.0, "training": False}),
    ("frozen", {"x": (2, 3, 4, 2, 3), "training": False}),
    ("one element", {"x": (1, 5)}),
    ("one element", {"x": (1, 3, 1, 1), "relu": True}),
)


class BatchNorm(Norm):
    """Each channel over the batch, or with the running statistics."""

    structured: ClassVar[Problems] = (*SHARED, *FROZEN)
    empty: ClassVar[Problems] = tuple((f, g) for f, g in FROZEN if "training" in g)
    laws: ClassVar[tuple[str, ...]] = Norm.laws
    modes: ClassVar[tuple[Geometry, ...]] = ({}, {"training": False}, {})
    spaces: ClassVar[tuple[Space, ...]] = norm_space.BATCH
    larger: ClassVar[Geometry] = {"x": (5, 17, 9, 10), "relu": True}
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (7, 19, 12, 11), "relu": True, "residual": True},
        {"x": (3, 2, 40, 41)},
        {"x": (5, 9, 12, 13), "training": False},
    )
    twins: ClassVar[tuple[Geometry, ...]] = (
        {"x": (3, 4, 5, 6)},
        {"x": (3, 4, 5, 6), "eps": 2.0},
        {"x": (3, 4, 5, 6), "relu": True},
        {"x": (3, 4, 5, 6), "residual": True},
        {"x": (3, 4, 5, 6), "training": False},
        {"x": (3, 4, 6, 5)},
    )
    constants: ClassVar[tuple[Geometry, ...]] = (
        *({"x": (40, 2, 41, 42)}, {"x": (5, 3)}, {"x": (6, 2, 3, 5), "relu": True}),
        {"x": (3, 1, 50_000)},
    )
    momenta: ClassVar[tuple[dict[str, Any], ...]] = (
        *({}, {"momentum": 0.25}, {"momentum": 0.75, "unbiased": True}, {"momentum": 1.0}),
    )

    def sets(self, case: Case, a: FloatArray) -> FloatArray:
        """Channels first."""
        return np.moveaxis(a, 1, 0)

    def arguments(
        self, case: Case, given: Inputs, param: dict[str, Any] | None, *, infer: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments; in training with a dictionary for the statistics, of momentum 0.

        So they are the batch's own.
        """
        named = given.named
        table = dict(case.params[0] if param is None else {})
        if infer:
            table.pop("training", None)
        options = {"residual": named["residual"]}
        if named["mean"] is not None and param is None:
            options |= {"running_mean": named["mean"], "running_var": named["var"]}
        arrays = (named["x"], named["gamma"], named["beta"])
        if case.moves:
            return (*arrays, {"momentum": 0.0, **table} if param is None else param), options
        return (*arrays, param) if param else arrays, options | table

    def statistics(self, case: Case, args: tuple[Any, ...]) -> dict[str, FloatArray]:
        """Return what the call put into its dictionary, where that holds the batch's own."""
        if not case.moves or args[3].get("momentum") != 0.0:
            return {}
        return {name: args[3].get(f"running_{name}") for name in case.operation.statistics}

    def moved(self, case: Case, given: Inputs, options: dict[str, Any], seed: int) -> Moved:
        """Return a dictionary with running statistics, and what training makes of them."""
        return moved_statistics(case, self.fast(case, given), options, seed)

    def symmetries(self, case: Case, given: Inputs) -> Iterator[Symmetry]:
        """Images in another order."""
        yield from super().symmetries(case, given)
        turned = given.replaced(x=given.x[::-1])
        if given.residual is not None:
            turned = turned.replaced(residual=given.residual[::-1])
        yield Symmetry("images reversed", case, turned, lambda out: out[::-1])
        sizes = dict(case.sizes)
        if sizes.get("training", True):
            sizes.pop("training", None)
            x = given.x.shape
            sizes |= {"x": (1, x[1], x[0], *x[2:]), "groups": x[1]}
            named = {n: given.named[n] for n in ("gamma", "beta")}
            wide = {n: _as_one(given.named[n]) for n in ("x", "residual")}
            other = dataclasses.replace(case, op="group_norm", geometry=tuple(sizes.items()))
            changed = Inputs(
                {"x": wide["x"], **named, "residual": wide["residual"]}, _as_one(given.dout)
            )
            yield Symmetry("as instances of one image", other, changed, _as_one)


def _as_one(a: Any) -> Any:
    """Return the images of a batch as one image with one more axis."""
    return None if a is None else np.moveaxis(a, 0, 1)[None]


def _scaled(limit: Any, share: float, rounding: FloatArray, factor: float) -> FloatArray:
    found: FloatArray = share * limit(factor) + rounding
    return found


def moved_statistics(case: Case, found: FastResults, options: dict[str, Any], seed: int) -> Moved:
    """Return a dictionary with running statistics, and what training makes of them.

    ``found`` has mean and variance of the batch.
    """
    spec = next(one for one in case.specs if hasattr(one, "training"))
    rng = np.random.default_rng(seed)
    old = {
        "running_mean": rng.standard_normal(spec.gamma_shape).astype(case.dtype),
        "running_var": (rng.random(spec.gamma_shape) + 0.5).astype(case.dtype),
    }
    keep = options.get("momentum", 0.9)
    n, wanted = spec.set_size, {}
    for name in case.operation.statistics:
        value, key = found[name], f"running_{name}"
        factor = n / (n - 1) if options.get("unbiased") and name == "var" and n > 1 else 1.0
        ref = keep * old[key].astype(value.ref.dtype) + (1 - keep) * factor * value.ref
        rounding = 4 * np.finfo(case.dtype).eps * (np.abs(old[key]) + np.abs(ref))
        share = (1 - keep) * factor
        limit = np.asarray(share * value.limit + rounding, np.float64)
        wanted[key] = dataclasses.replace(value, ref=ref, limit=limit)
        if value.inexact is not None:
            rough = partial(_scaled, value.inexact, share, rounding)
            wanted[key] = dataclasses.replace(wanted[key], inexact=rough)
    table = {**case.params[case.moving], **options, **old}
    key = "training" if case.specs[0] is spec else "bn_training"
    still = dict(case.sizes) | {key: False}
    at_rest = dataclasses.replace(case, geometry=tuple(still.items()))
    return Moved(table, wanted, at_rest)
