"""What batch and group normalisation share in the suite: data, problems, symmetries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from convkit.conformance.arrays import Arrays, Expected, Inputs, integers
from convkit.conformance.cases import Case
from convkit.conformance.entry import (
    Entry,
    FastResults,
    Geometry,
    Problems,
    Symmetry,
    Vanishing,
    draw_axes,
)
from convkit.conformance.operations import norm_reference
from convkit.conformance.reference import FloatArray

SHARED: Problems = (
    ("plain", {"x": (3, 4, 5, 7)}),
    ("plain", {"x": (7, 6)}),
    ("relu", {"x": (2, 6, 7, 5), "relu": True}),
    ("relu", {"x": (5, 4), "relu": True}),
    ("residual", {"x": (2, 6, 5, 3), "residual": True}),
    ("residual relu", {"x": (3, 4, 3, 6), "residual": True, "relu": True}),
    ("residual relu", {"x": (4, 6, 9), "residual": True, "relu": True}),
    ("eps", {"x": (3, 4, 5, 2), "eps": 0.0}),
    ("eps", {"x": (2, 4, 3, 5), "eps": 1e-30}),
    ("eps", {"x": (4, 2, 5, 3), "eps": 7.0}),
    ("eps", {"x": (4, 2, 5, 3), "eps": 1e6}),
    ("one axis", {"x": (2, 4, 13)}),
    ("three axes", {"x": (2, 4, 3, 4, 5)}),
    ("same sizes", {"x": (6, 6, 6, 6)}),
    ("wide and tall", {"x": (1, 2, 3, 131)}),
    ("wide and tall", {"x": (1, 2, 133, 3), "relu": True}),
    ("one image", {"x": (1, 6, 5, 7)}),
    ("one pixel", {"x": (5, 6, 1, 1)}),
)
"""Without what only one of the two takes."""

PER_IMAGE = 20_000
"""Sets beyond this size get a dout that is heavy at its end, so that a lost one shows."""


class Norm(Entry):
    """A normalisation; each kind adds its modes, problems and symmetries."""

    per_image: ClassVar[tuple[str, ...]] = ("x", "residual")
    curved = True
    divides = True
    composed_alone = True
    distinct = "smooth"
    step = 2.0**-9
    laws: ClassVar[tuple[str, ...]] = ("symmetry", "vanishing")
    various: ClassVar[tuple[str, ...]] = ("plain", "residual relu", "frozen")
    several_paths: ClassVar[tuple[str, ...]] = (
        *("plain", "relu", "residual", "residual relu", "frozen", "frozen relu", "one pixel"),
    )
    modes: ClassVar[tuple[Geometry, ...]] = ()
    """What a problem of ``blocks`` and ``extremes`` is asked with, one each in turn."""

    def own(self, case: Case) -> bool:
        """Whether x is normalised by statistics of its own."""
        spec = case.specs[0]
        return bool(spec.kind == "group" or spec.training)

    def sets(self, case: Case, a: FloatArray) -> FloatArray:
        """Return a view of x's shape as (sets, numbers of a set, in any order)."""
        raise NotImplementedError

    # --- problems -----------------------------------------------------------------------------

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """One dimension at a time."""
        shapes = (
            *(("C", (2, size, 3, 2)), ("C", (3, size)), ("N", (size, 2, 2, 3)), ("N", (size, 3))),
            *(("W", (2, 2, 3, size)), ("H", (2, 2, size, 3)), ("W", (1, 3, size))),
        )
        fused: tuple[Geometry, ...] = ({}, {"relu": True}, {"residual": True, "relu": True})
        for number, (name, x) in enumerate(shapes):
            mode = self.modes[(size + number) % len(self.modes)]
            yield name, {"x": x, **fused[(size + number) % 3], **self.fit(mode, x)}

    def fit(self, mode: Geometry, x: tuple[int, ...]) -> Geometry:
        """Return a mode as x's channels allow it."""
        return mode

    def extremes(self, level: str) -> Iterator[Geometry]:
        """Long rows and columns, many channels and images."""
        shapes = ((1, 1, 1, 2203), (1, 1, 2204, 1), (1, 300, 1, 3), (300, 1, 2, 3), (2, 1100))
        for number, x in enumerate((*shapes, (1100, 2), (1, 2, 2049), (2, 1, 3, 700))):
            yield {"x": x, **self.fit(self.modes[number % len(self.modes)], x)}

    def large(self, level: str) -> Iterator[Geometry]:
        """Sets of a million numbers, many channels, images and pixels."""
        shapes = (
            *((1, 1, 1024, 1024), (1, 4100, 2, 2), (17, 1, 70, 71), (66_000, 2), (3, 66_000)),
            *((9, 2, 9001), (1100, 3, 3, 3), (2, 2050, 3, 5), (1, 2, 370, 381), (5, 1, 65_537)),
            *((33, 1000, 2, 2), (65_600, 1, 1, 2), (2, 32, 57, 59), (130, 130, 3)),
        )
        fused: tuple[Geometry, ...] = ({}, {"relu": True}, {"residual": True, "relu": True})
        for number, x in enumerate(shapes):
            for mode in self.modes[:1] if number else self.modes[:2]:
                yield {"x": x, **fused[number % 3], **self.fit(mode, x)}

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small problem."""
        axes = int(rng.choice([draw_axes(rng), draw_axes(rng), 0]))
        sizes = (int(n) for n in rng.integers(1, 12, axes))
        x = (int(rng.integers(2, 6)), int(rng.integers(1, 13)), *sizes)
        mode = self.modes[int(rng.integers(0, len(self.modes)))]
        return {
            "x": x,
            "eps": float(rng.choice([1e-5, 1e-5, 1e-3, 0.5])),
            "relu": bool(rng.random() < 0.4),
            "residual": bool(rng.random() < 0.4),
            **self.fit(mode, x),
        }

    def searched(self, draw: Any, flag: Any) -> Geometry:
        """Draw what a search of the laws asks; small numbers shrink first."""
        x = (draw(1, 4), draw(1, 8), *(draw(1, 7) for _ in range(draw(0, 3))))
        mode = self.modes[draw(0, len(self.modes) - 1)]
        eps = (1e-5, 0.25)[draw(0, 1)]
        return {"x": x, "eps": eps, "relu": flag(), "residual": flag(), **self.fit(mode, x)}

    def neighbours(self, case: Case) -> Iterator[Geometry]:
        """A larger problem and one with another eps."""
        sizes = case.sizes
        n, channels, *pixels = sizes["x"]
        yield {**sizes, "x": (n + 1, channels, *(p + 3 for p in pixels))}
        yield {**sizes, "eps": 3.0}

    # --- data ---------------------------------------------------------------------------------

    def exact(self, case: Case, rng: np.random.Generator) -> Arrays:
        """Draw integers around a mean of each set's own, some far from 0; some gamma and beta 0.

        Sums of dout stay exact. Where gamma and beta are 0, relu's argument is exactly 0.
        """
        arrays = {name: integers(rng, shape, 5) for name, shape in case.shapes.items()}
        x, far = arrays["x"], 2.0**9 if case.dtype == "float32" else 2.0**30
        rows = self.sets(case, x)
        if x.size:
            rows += rng.choice([0.0, 0.0, 9.0, far], (len(rows), *(1,) * (rows.ndim - 1)))
        off = rng.random(len(arrays["gamma"])) < 0.15
        arrays["gamma"][off] = 0
        arrays["beta"][off] = 0
        if arrays["residual"] is not None:
            arrays["residual"][:, off] *= rng.random(arrays["residual"][:, off].shape) < 0.5
        dout = integers(rng, case.out_shape, 9)
        if x.size > PER_IMAGE:
            flat = dout.reshape(*dout.shape[:2], -1)
            flat[-1:, :, -1] *= 512
            flat[:, -1:, -1] *= 512
        return {**arrays, "dout": dout}

    def fitted(self, case: Case, arrays: Arrays) -> Arrays:
        """Make variances positive, and without eps those of every set of x too."""
        if arrays.get("var") is not None:
            least = 0.0 if case.data == "denormal" else 0.5
            arrays["var"] = np.maximum(np.abs(arrays["var"]), least)
        spec = case.specs[0]
        if not spec.eps and self.own(case) and spec.set_size > 1:
            rows = self.sets(case, arrays["x"])
            axis = next(axis for axis in range(1, rows.ndim) if rows.shape[axis] > 1)
            rows = np.moveaxis(rows, axis, -1)
            rows[..., 0] = rows[..., 1] + 2
        return arrays

    def smooth(self, case: Case, rng: np.random.Generator) -> Arrays:
        """A permutation of integers, and a beta that keeps relu's argument away from 0.

        0 is laid into the widest gap between a channel's numbers, or below them all.
        """
        size = int(np.prod(case.x_shape))
        arrays = {n: integers(rng, s, 3) for n, s in case.shapes.items()}
        arrays["x"] = rng.permutation(size).reshape(case.x_shape) - float(size // 2)
        arrays["dout"] = integers(rng, case.out_shape, 5)
        arrays = self.fitted(case, arrays)
        if case.specs[0].relu and size:
            plain = dataclasses.replace(case.specs[0], relu=False)
            out = norm_reference.results(plain, arrays, integers=True)["out"].ref
            rows = np.moveaxis(out, 1, 0).reshape(out.shape[1], -1).astype(np.float64)
            arrays["beta"] -= [self._off_zero(numbers) for numbers in rows]
        return arrays

    def _off_zero(self, numbers: FloatArray) -> float:
        """Return what to take off numbers so that no step of a difference takes one over 0.

        A step moves them by no more than itself times z or gamma over the deviation, which both
        are less than 5 plus the largest of them.
        """
        ordered = np.sort(numbers)
        room = 4 * self.step * (5 + float(np.abs(ordered).max()))
        gaps = np.diff(ordered)
        if len(gaps) and gaps.max() > 2 * room:
            at = int(np.argmax(gaps))
            return float(ordered[at] + gaps[at] / 2)
        return float(ordered[0]) - room

    # --- results ------------------------------------------------------------------------------

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """The definition itself: it is as fast as anything else."""
        return self._results(case, {**given.named, "dout": given.dout}, rounds=False)

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out, the statistics and the gradients."""
        return self._results(case, arrays, rounds)

    def _results(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        return norm_reference.results(case.specs[0], arrays, integers=not rounds)

    # --- laws ---------------------------------------------------------------------------------

    def symmetries(self, case: Case, given: Inputs) -> Iterator[Symmetry]:
        """A shift and a scale of a set whose statistics are its own; channels in another order."""
        if self.own(case):
            moved = dict(case.sizes) | {"eps": 4.0 * case.specs[0].eps}
            scaled = dataclasses.replace(case, geometry=tuple(moved.items()))
            changed = given.replaced(x=2 * given.x + 3)
            yield Symmetry("2 x + 3 with 4 eps", scaled, changed, lambda out: out)
        last = given.map(lambda a: a[..., ::-1] if a.ndim > 2 else a)
        if given.x.ndim > 2:
            yield Symmetry("columns reversed", case, last, lambda out: out[..., ::-1])

    def vanishing(self, case: Case, given: Inputs, results: Any) -> Iterator[Vanishing]:
        """The sum of dx over a set, whose shift changes nothing."""
        if self.own(case) and given.x.size:
            dx = self.sets(case, results["dx"].astype(np.longdouble))
            limit = self.sets(case, self.fast(case, given)["dx"].limit)
            axes = tuple(range(1, dx.ndim))
            yield Vanishing("the sum of dx", dx.sum(axis=axes), limit.sum(axis=axes))
