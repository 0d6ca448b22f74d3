"""A convolution with batch normalisation, residual, relu and pool, in the suite."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from convkit.conformance.arrays import Arrays, Expected, Inputs, integers
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import (
    Entry,
    FastResults,
    Geometry,
    Moved,
    Problems,
    Symmetry,
    draw_ints,
)
from convkit.conformance.operations import conv_bn_reference, conv_bn_space
from convkit.conformance.operations.batch_norm import moved_statistics
from convkit.conformance.operations.conv import Conv
from convkit.conformance.reference import FloatArray

POOL: Geometry = {"pool_kernel": (2, 2)}
FROZEN: Geometry = {"bn_training": False}
END: Geometry = {"residual": True}

STRUCTURED: Problems = (
    ("plain", {"x": (3, 3, 7, 6), "w": (4, 3, 3, 2)}),
    ("plain", {"x": (2, 2, 6, 5), "w": (5, 2, 2, 3), "bias": False, "bn_relu": False}),
    ("pad", {"x": (3, 2, 6, 7), "w": (3, 2, 3, 3), "pad": ((1, 0), (2, 1)), **END}),
    ("1x1", {"x": (3, 5, 4, 6), "w": (6, 5, 1, 1), **END, "bn_relu": False}),
    (
        "groups",
        {"x": (2, 4, 9, 8), "w": (6, 2, 3, 2), "groups": 2, "stride": (2, 1), "dilation": (1, 2)},
    ),
    ("pool", {"x": (2, 3, 8, 10), "w": (4, 3, 3, 3), "pad": 1, **POOL}),
    ("pool", {"x": (3, 2, 8, 7), "w": (3, 2, 2, 2), **POOL, **END, "bn_relu": False}),
    (
        "overlap",
        {
            "x": (2, 3, 9, 8), "w": (4, 3, 3, 3), "pad": ((1, 1), (0, 1)), **END,
            "pool_kernel": (3, 2), "pool_stride": (2, 1), "pool_pad": ((1, 0), (0, 1)),
        },
    ),
    ("one axis", {"x": (3, 2, 15), "w": (4, 2, 4), "pool_kernel": 2}),
    (
        "three axes",
        {"x": (2, 2, 4, 5, 6), "w": (3, 2, 2, 1, 3), "pool_kernel": (1, 2, 2), "bn_eps": 2.0},
    ),
    ("depthwise", {"x": (2, 5, 7, 6), "w": (5, 1, 3, 3), "groups": 5, "pad": 1, "bn_eps": 300.0}),
    ("frozen", {"x": (3, 3, 6, 7), "w": (4, 3, 3, 2), **FROZEN, "bn_eps": 1.0}),
    ("frozen", {"x": (2, 2, 7, 6), "w": (3, 2, 2, 3), **FROZEN, **END, "bn_relu": False}),
    ("frozen pool", {"x": (2, 3, 7, 8), "w": (5, 3, 2, 3), **FROZEN, **POOL, **END, "pad": 1}),
    ("frozen pool", {"x": (2, 2, 6, 9), "w": (4, 2, 3, 2), **FROZEN, **POOL, "bn_eps": 0.0}),
    ("one element", {"x": (1, 3, 3, 2), "w": (4, 3, 3, 2)}),
    (
        "pad mode",
        {"x": (2, 3, 6, 5), "w": (4, 3, 3, 2), "pad": ((1, 2), (3, 0)), "pad_mode": "reflect"},
    ),
)  # fmt: skip

BEYOND_QUICK: Problems = (
    *(
        (
            "pad mode",
            {"x": (2, 3, 6, 5), "w": (4, 3, 3, 2), "pad": 2, "pad_mode": mode, **POOL, **END},
        )
        for mode in ("circular", "symmetric", "edge")
    ),
    ("pool", {"x": (2, 3, 8, 9), "w": (4, 3, 2, 3), "pool_kernel": (2, 3), "pool_ceil_mode": True}),
    ("pool", {"x": (2, 3, 9, 9), "w": (4, 3, 2, 2), **POOL, "pool_dilation": (2, 1)}),
    ("pool", {"x": (2, 3, 9, 9), "w": (4, 3, 2, 2), "pool_kernel": 1, "pool_stride": (2, 3)}),
    ("frozen", {"x": (1, 3, 1, 1), "w": (4, 3, 1, 1), **FROZEN}),
)

NORM: tuple[Geometry, ...] = ({}, END, {**POOL, **END}, POOL, {"bn_relu": False}, FROZEN)
"""What problems of ``blocks`` and ``extremes`` are asked with, one each in turn."""

SMOOTH = 2.0**-9


class ConvBnRelu(Entry):
    """Each part has a bound of its own, so gradients of reals are asked as well."""

    structured: ClassVar[Problems] = STRUCTURED
    structured_beyond_quick: ClassVar[Problems] = BEYOND_QUICK
    empty: ClassVar[Problems] = tuple(
        (feature, g | FROZEN) for feature, g in STRUCTURED if feature in ("plain", "pool", "1x1")
    )
    weights: ClassVar[tuple[str, ...]] = ("w",)
    per_image: ClassVar[tuple[str, ...]] = ("x", "residual")
    selects = True
    curved = True
    divides = True
    ties: ClassVar[tuple[str, ...]] = ("small", "zero", "equal")
    distinct = "smooth"
    step = SMOOTH
    laws: ClassVar[tuple[str, ...]] = ("symmetry",)
    various: ClassVar[tuple[str, ...]] = ("plain", "1x1", "pool", "frozen pool")
    several_paths: ClassVar[tuple[str, ...]] = (
        *("plain", "pad", "1x1", "groups", "pool", "overlap", "frozen", "frozen pool"),
    )
    spaces: ClassVar[tuple[Space, ...]] = conv_bn_space.SPACES
    share = 0.1
    larger: ClassVar[Geometry] = {"x": (3, 5, 13, 12), "w": (9, 5, 3, 3), "pad": 1, **POOL, **END}
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (5, 4, 17, 18), "w": (9, 4, 3, 3), "pad": 1, **POOL},
        {"x": (3, 7, 20, 21), "w": (18, 7, 1, 1), **END},
        {"x": (5, 4, 12, 13), "w": (9, 4, 3, 3), **FROZEN, **POOL},
    )
    twins: ClassVar[tuple[Geometry, ...]] = tuple(
        {"x": (2, 4, 9, 9), "w": (4, 4, 3, 3), **other}
        for other in (
            {}, {"bn_eps": 2.0}, {"bn_relu": False}, END, POOL, {**POOL, "pool_pad": 1}, FROZEN,
            {"pad": 1, "pad_mode": "edge"}, {"w": (4, 2, 3, 3), "groups": 2},
        )
    )  # fmt: skip
    constants: ClassVar[tuple[Geometry, ...]] = (
        {"x": (6, 2, 9, 7), "w": (3, 2, 3, 3)},
        {"x": (4, 2, 9, 7), "w": (3, 2, 2, 2), **POOL},
    )
    momenta: ClassVar[tuple[dict[str, Any], ...]] = (
        *({}, {"momentum": 0.25}, {"momentum": 0.75, "unbiased": True}),
    )

    # --- problems -----------------------------------------------------------------------------

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """One dimension at a time, each with another end; F and OW at every size."""
        shapes: tuple[tuple[str, Geometry], ...] = (
            ("F", {"x": (2, 3, 4, 5), "w": (size, 3, 2, 2)}),
            ("C", {"x": (2, size, 4, 3), "w": (3, size, 3, 2), "pad": ((1, 1), (0, 1))}),
            ("N", {"x": (size, 2, 4, 3), "w": (3, 2, 1, 2)}),
            ("OW", {"x": (2, 2, 3, size + 1), "w": (3, 2, 2, 2)}),
            ("OH", {"x": (1, 2, size + 1, 4), "w": (3, 2, 2, 3)}),
        )
        for number, (name, shape) in enumerate(shapes):
            if name in ("F", "OW") or number == (1, 2, 4)[(size + size // 4) % 3]:
                yield name, {**shape, **NORM[(size + number) % len(NORM)]}

    def extremes(self, level: str) -> Iterator[Geometry]:
        """A long row, many filters, channels and images, and a large window."""
        yield {"x": (1, 1, 2, 1105), "w": (2, 1, 1, 2), **POOL}
        yield {"x": (1, 1, 3, 4), "w": (300, 1, 1, 2), **END}
        yield {"x": (300, 1, 2, 3), "w": (2, 1, 1, 2), **END}
        yield {"x": (1, 300, 2, 3), "w": (2, 300, 1, 1)}
        yield {"x": (1, 1, 19, 20), "w": (12, 1, 2, 2), "pool_kernel": (17, 18), "pool_stride": 1}

    def large(self, level: str) -> Iterator[Geometry]:
        """Many images and filters, a large image, long sums."""
        yield {"x": (1030, 2, 3, 4), "w": (3, 2, 2, 3), "pad": 1, **POOL}
        yield {"x": (2, 2, 3, 4), "w": (1030, 2, 1, 1), **END}
        yield {"x": (1, 2, 150, 364), "w": (2, 2, 3, 3), "pad": 1, **POOL}
        yield {"x": (1, 463, 4, 6), "w": (3, 463, 3, 3), "pad": 1, **FROZEN}
        yield {"x": (1, 1, 3, 20_000), "w": (1, 1, 2, 2), "pool_kernel": (2, 70), "pool_stride": 1}

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small problem; it need not be valid."""
        geometry = _conv.random(rng)
        geometry |= {
            "bn_training": bool(rng.random() < 0.7),
            "bn_relu": bool(rng.random() < 0.7),
            "residual": bool(rng.random() < 0.4),
        }
        if rng.random() < 0.5:
            axes = len(geometry["x"]) - 2
            geometry["pool_kernel"] = draw_ints(rng, axes, 1, 3)
            geometry["pool_stride"] = draw_ints(rng, axes, 1, 3)
        return geometry

    def searched(self, draw: Any, flag: Any) -> Geometry:
        """Draw what a search of the laws asks; small numbers shrink first."""
        geometry = _conv.searched(draw, flag)
        geometry |= {"bn_training": flag(), "bn_relu": flag(), "residual": flag(), "bn_eps": 0.25}
        return geometry | (POOL if flag() else {})

    def neighbours(self, case: Case) -> Iterator[Geometry]:
        """A larger problem and one with another eps."""
        sizes = case.sizes
        n, channels, *pixels = sizes["x"]
        yield {**sizes, "x": (n + 1, channels, *(p + 3 for p in pixels))}
        yield {**sizes, "bn_eps": 3.0}

    # --- data ---------------------------------------------------------------------------------

    def exact(self, case: Case, rng: np.random.Generator) -> Arrays:
        """Integers of which the convolution is exact: as large as that allows, or small ones.

        Running statistics are of the size of the convolution's results; some gamma are 0.
        """
        arrays = _conv.exact(case, rng)
        if rng.random() < 0.5:
            most = 3 if case.specs[0].w_shape[1] < 100 else 1
            arrays |= {n: integers(rng, case.shapes[n], most) for n in ("x", "w", "b")}
        rest = ("gamma", "beta", "residual")
        arrays |= {name: integers(rng, case.shapes[name], 5) for name in rest}
        arrays["gamma"][rng.random(len(arrays["gamma"])) < 0.15] = 0
        terms = float(np.sqrt(np.prod(case.shapes["w"][1:])))
        size = max(1.0, terms * np.abs(arrays["x"]).max(initial=0) * np.abs(arrays["w"]).max() / 3)
        arrays["mean"] = integers(rng, case.shapes["mean"], int(size))
        arrays["var"] = _times(integers(rng, case.shapes["var"], 9), np.floor(size) ** 2)
        named = {name: arrays[name] for name in case.operation.inputs}
        return {**named, "dout": integers(rng, case.out_shape, 9)}

    def fitted(self, case: Case, arrays: Arrays) -> Arrays:
        """Make variances positive."""
        if arrays.get("var") is not None:
            arrays["var"] = np.maximum(np.abs(arrays["var"]), 0.5)
        return arrays

    def smooth(self, case: Case, rng: np.random.Generator) -> Arrays:
        """A permutation of numbers; no dout where a step may change a maximum or a sign."""
        size = max(1, int(np.prod(case.x_shape)))
        arrays = {n: integers(rng, s, 3) for n, s in case.shapes.items()}
        arrays["x"] = (rng.permutation(size).reshape(case.x_shape) - float(size // 2)) * (8 / size)
        arrays["dout"] = integers(rng, case.out_shape, 5)
        arrays = self.fitted(case, arrays)
        conv, norm, *pools = case.specs
        made = conv_bn_reference.fast(conv, None)
        plain = dataclasses.replace(norm, relu=False)
        other = {**arrays, "dout": np.zeros(norm.x_shape)}
        y = conv_bn_reference.results((conv, plain), other, made, rounds=False)["out"].ref
        room = 4 * self.step * (6 + float(np.abs(y).max(initial=0)))
        steep = _steep(y, norm.relu, room, pools)
        arrays["dout"][steep] = 0
        return arrays

    # --- results ------------------------------------------------------------------------------

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return everything; the convolution by products of columns."""
        conv, _, *pools = case.specs
        made = conv_bn_reference.fast(conv, pools[0] if pools else None)
        arrays = {n: None if a is None else a.astype(np.float64) for n, a in given.named.items()}
        arrays["dout"] = given.dout.astype(np.float64)
        return conv_bn_reference.results(case.specs, arrays, made, rounds=case.data == "real")

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out, the statistics and the gradients."""
        conv, _, *pools = case.specs
        made = conv_bn_reference.by_definition(conv, pools[0] if pools else None, rounds)
        return conv_bn_reference.results(case.specs, arrays, made, rounds=rounds)

    # --- calls --------------------------------------------------------------------------------

    def arguments(
        self, case: Case, given: Inputs, param: dict[str, Any] | None, *, infer: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments; in training with momentum 0, so that the statistics are its own."""
        named = given.named
        conv, norm, pool = case.params
        table = dict(norm) if param is None else param
        if param is None and case.moves:
            table = {"momentum": 0.0, **table}
        elif param is None:
            table |= {"running_mean": named["mean"], "running_var": named["var"]}
        arrays = tuple(named[n] for n in ("x", "w", "b", "gamma", "beta"))
        return (*arrays, conv, table, pool or None), {"residual": named["residual"]}

    def statistics(self, case: Case, args: tuple[Any, ...]) -> dict[str, FloatArray]:
        """Return what the call put into its dictionary, where that holds the batch's own."""
        table = args[6]
        if not case.moves or table.get("momentum") != 0.0:
            return {}
        return {name: table.get(f"running_{name}") for name in case.operation.statistics}

    def moved(self, case: Case, given: Inputs, options: dict[str, Any], seed: int) -> Moved:
        """Return a dictionary with running statistics, and what training makes of them."""
        return moved_statistics(case, self.fast(case, given), options, seed)

    def symmetries(self, case: Case, given: Inputs) -> Iterator[Symmetry]:
        """Images in another order; a scale that the norm takes out again."""
        turned = {n: given.named[n] for n in ("x", "residual")}
        changed = given.replaced(**{n: None if a is None else a[::-1] for n, a in turned.items()})
        yield Symmetry("images reversed", case, changed, lambda out: out[::-1])
        if case.moves:
            sizes = case.sizes | {"bn_eps": 4.0 * case.specs[1].eps}
            scaled = dataclasses.replace(case, geometry=tuple(sizes.items()))
            doubled = given.replaced(w=2 * given.w, b=_times(given.b, 2))
            yield Symmetry("2 w and 2 b with 4 eps", scaled, doubled, lambda out: out)


_conv = Conv()


def _times(a: Any, factor: float) -> Any:
    return None if a is None else a * factor


def _steep(y: FloatArray, relu: bool, room: float, pools: list[Any]) -> FloatArray:
    """Return which results may change their path if values change by less than ``room``."""
    if not pools:
        near: FloatArray = (np.abs(y) < room) & relu
        return near
    (pool,) = pools
    first, second = np.full(pool.out_shape, -np.inf), np.full(pool.out_shape, -np.inf)
    for _, outs, ins in pool.taps():
        at, value = (slice(None), slice(None), *outs), y[(slice(None), slice(None), *ins)]
        second[at] = np.maximum(second[at], np.minimum(first[at], value))
        first[at] = np.maximum(first[at], value)
    found: FloatArray = first - second < room
    return (found & (first > -room)) | (np.abs(first) < room) if relu else found
