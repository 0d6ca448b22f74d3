"""Transposed convolution in the suite: the problems of convolution, seen from its result.

Whatever problem a convolution is asked, its transpose is asked too, from the convolution's out to
its input; what a transposed convolution has of its own is output padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, Inputs, magnitudes
from convkit.conformance.cases import Case
from convkit.conformance.covering import Point, Space
from convkit.conformance.entry import FastResults, Geometry, Problems
from convkit.conformance.operations import conv_space
from convkit.conformance.operations.conv import Conv
from convkit.conformance.reference import FloatArray
from convkit.errors import ConvkitError
from convkit.spec import ConvSpec, ConvTransposeSpec

STRUCTURED: Problems = (
    ("plain", {"x": (2, 3, 7, 5), "w": (3, 4, 3, 2)}),
    ("plain", {"x": (2, 3, 6, 9), "w": (3, 5, 2, 4), "bias": False}),
    ("pad", {"x": (2, 3, 5, 7), "w": (3, 4, 3, 2), "pad": ((1, 0), (2, 1))}),
    ("pad", {"x": (1, 2, 5, 6), "w": (2, 3, 3, 5), "pad": ((0, 2), (1, 3))}),
    ("stride", {"x": (2, 3, 4, 5), "w": (3, 4, 3, 4), "stride": (2, 3)}),
    ("stride", {"x": (2, 2, 5, 4), "w": (2, 3, 4, 3), "stride": (3, 2), "pad": (1, 1)}),
    ("stride", {"x": (1, 2, 5, 4), "w": (2, 3, 2, 1), "stride": (3, 4)}),
    ("output pad", {"x": (2, 3, 4, 5), "w": (3, 4, 3, 2), "stride": (3, 2), "output_pad": (2, 1)}),
    (
        "output pad",
        {"x": (2, 2, 4, 3), "w": (2, 3, 2, 3), "stride": (2, 4), "pad": 1, "output_pad": (1, 3)},
    ),
    # As much output padding as a stride or more: pixels of out that no pixel of x reaches.
    (
        "output pad",
        {"x": (1, 2, 5, 4), "w": (2, 3, 3, 2), "dilation": (3, 4), "output_pad": (2, 3)},
    ),
    (
        "output pad",
        {
            "x": (2, 2, 4, 5), "w": (2, 3, 2, 3), "stride": (1, 2), "dilation": (3, 2),
            "pad": ((1, 0), (0, 2)), "output_pad": (2, 1),
        },
    ),
    ("dilation", {"x": (1, 2, 5, 6), "w": (2, 3, 3, 4), "dilation": (2, 3), "pad": (1, 2)}),
    ("dilation", {"x": (1, 2, 4, 5), "w": (2, 3, 3, 2), "stride": (4, 2), "dilation": (2, 4)}),
    ("1x1", {"x": (2, 5, 4, 6), "w": (5, 4, 1, 1)}),
    ("1x1", {"x": (2, 3, 4, 3), "w": (3, 4, 1, 1), "stride": (2, 3), "output_pad": (1, 2)}),
    ("groups", {"x": (2, 6, 5, 4), "w": (6, 2, 3, 2), "groups": 2}),
    ("groups", {"x": (1, 6, 4, 3), "w": (6, 3, 2, 3), "groups": 3, "stride": (2, 3), "pad": 1}),
    ("depthwise", {"x": (2, 5, 6, 7), "w": (5, 1, 3, 2), "groups": 5}),
    ("depthwise", {"x": (2, 3, 4, 5), "w": (3, 2, 4, 4), "groups": 3, "stride": 2, "pad": 1}),
    ("upsampling", {"x": (2, 6, 5, 4), "w": (6, 5, 4, 4), "stride": 2, "pad": 1}),
    ("upsampling", {"x": (1, 9, 3, 5), "w": (9, 17, 2, 2), "stride": 2}),
    ("upsampling", {"x": (1, 4, 5, 3), "w": (4, 6, 3, 3), "stride": 2, "pad": 1, "output_pad": 1}),
    ("one axis", {"x": (2, 3, 9), "w": (3, 4, 5), "stride": (2,), "pad": ((1, 3),)}),
    ("one axis", {"x": (2, 4, 8), "w": (4, 3, 3), "dilation": (2,), "groups": 2}),
    (
        "three axes",
        {
            "x": (2, 2, 3, 2, 4), "w": (2, 3, 2, 3, 2), "stride": (2, 1, 3),
            "pad": ((1, 0), (0, 2), (1, 1)), "output_pad": (1, 0, 2),
        },
    ),
)  # fmt: skip


def transposed(made: Geometry | None) -> Geometry | None:
    """Return the transpose of a convolution: its x has the shape of the convolution's out.

    Pixels that no window of the convolution sees become output padding.
    """
    if made is None or "pad_mode" in made:
        return None
    geometry = {k: v for k, v in made.items() if k not in ("x", "bias", "w")}
    try:
        spec = ConvSpec.of(made["x"], made["w"], None, dtype="float32", **geometry)
        x = spec.out_shape
        found = ConvTransposeSpec.of(x, made["w"], None, dtype="float32", **geometry)
    except ConvkitError:
        return None
    unseen = tuple(n - m for n, m in zip(made["x"][2:], found.out_shape[2:], strict=True))
    return {**made, "x": x, **({"output_pad": unseen} if any(unseen) else {})}


def _space(space: Space) -> Space:
    build: Callable[[Point], Geometry | None] = space.build

    def transposed_build(point: Point) -> Geometry | None:
        return transposed(build(point))

    return replace(space, name=f"transposed {space.name}", build=transposed_build, cost=_cost)


def _cost(made: Geometry) -> int:
    """Return the multiply-adds of a forward pass, and a share for every pixel."""
    pixels = int(np.prod(made["x"]))
    weights = int(np.prod(made["w"]))
    return pixels // int(made["x"][1]) * weights + 4 * pixels


class ConvTranspose(Conv):
    """Linear in its input, its weights and its bias, as the convolution is."""

    structured: ClassVar[Problems] = STRUCTURED
    structured_beyond_quick: ClassVar[Problems] = ()
    laws: ClassVar[tuple[str, ...]] = ("linearity", "batch-independence")
    several_paths: ClassVar[tuple[str, ...]] = ("plain", "pad", "stride", "1x1", "groups")
    spaces: ClassVar[tuple[Space, ...]] = tuple(map(_space, conv_space.ZERO_PADDED))
    share = 0.5
    larger: ClassVar[Geometry] = {"x": (3, 8, 10, 9), "w": (8, 16, 4, 4), "stride": 2, "pad": 1}
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (5, 6, 9, 10), "w": (6, 10, 3, 3), "stride": 2, "pad": ((1, 0), (2, 1))},
        {"x": (1, 16, 12, 11), "w": (16, 1, 3, 3), "groups": 16, "pad": (1, 1)},
    )
    twins: ClassVar[tuple[Geometry, ...]] = (
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3)},
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3), "dilation": (2, 2), "pad": (1, 1)},
        {"x": (1, 4, 9, 9), "w": (4, 2, 3, 3), "groups": 2},
    )
    spelled: ClassVar[Geometry] = {"x": (2, 3, 8, 7), "w": (3, 4, 3, 3), "stride": 2, "pad": 1}
    padded_same: ClassVar[tuple[Geometry, ...]] = ()
    wide: ClassVar[Geometry] = {}

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """One dimension at a time."""
        for name, made in super().blocks(size):
            found = transposed(made)
            if found is not None:
                yield name, found

    def extremes(self, level: str) -> Iterator[Geometry]:
        """Those of the convolution."""
        yield from filter(None, map(transposed, super().extremes(level)))

    def large(self, level: str) -> Iterator[Geometry]:
        """Those of the convolution."""
        yield from filter(None, map(transposed, super().large(level)))

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small problem; it need not be valid."""
        made = super().random(rng)
        steps = zip(made["stride"], made["dilation"], strict=True)
        made["output_pad"] = tuple(int(rng.integers(0, max(pair))) for pair in steps)
        return self._swapped(made)

    def searched(self, draw: Any, flag: Any) -> Geometry:
        """Draw what a search of the laws asks; small numbers shrink first."""
        return self._swapped(super().searched(draw, flag))

    def _swapped(self, made: Geometry) -> Geometry:
        """Return a convolution's geometry with channels and filters in each other's place."""
        groups = made["groups"]
        filters, channels, *kernel = made["w"]
        images, _, *pixels = made["x"]
        made["w"] = (filters, channels, *kernel)
        made["x"] = (images, filters, *pixels)
        assert filters % groups == 0
        return made

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return out, dx, dw and, with a bias, db."""
        spec: ConvTransposeSpec = case.specs[0]
        conv = by_definition(spec)
        cols = fast_reference.columns(conv, given.dout)
        out, dw = fast_reference.conv_gradients(conv, cols, given.w, given.x)
        axes = (0, *range(2, spec.axes + 2))
        results = {"dx": fast_reference.conv_out(conv, cols, given.w, None), "dw": dw}
        if given.b is not None:
            out = out + given.b.reshape(-1, *(1,) * spec.axes)
            results["db"] = given.dout.sum(axis=axes, dtype=np.float64)
        return {"out": out, **results}

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out, dx, dw and, with a bias, db."""
        spec: ConvTransposeSpec = case.specs[0]
        dot = reference.wide_dot if rounds and case.dtype == "float64" else reference.dot
        given = [arrays[name] for name in ("x", "w", "b", "dout")]
        values, sizes = _results(spec, given, dot), _results(spec, magnitudes(*given))
        return {
            name: Expected.of(values[name], sizes[name], bounds.terms(spec, name), exact=not rounds)
            for name in values
        }


def _results(
    spec: ConvTransposeSpec, arrays: Sequence[Any], dot: Any = reference.dot
) -> dict[str, FloatArray]:
    """Return the results by the definition of the convolution whose adjoint this is."""
    x, w, b, dout = arrays
    conv = by_definition(spec)
    out = reference.conv_dx(conv, x, w, dot)
    found = {
        "dx": reference.conv_forward(conv, dout, w, None, dot),
        "dw": reference.conv_dw(conv, x, dout, dot),
    }
    if b is not None:
        out = out + b.reshape(-1, *(1,) * spec.axes)
        found["db"] = dout.sum(axis=(0, *range(2, dout.ndim)))
    return {"out": out, **found}


def by_definition(spec: ConvTransposeSpec) -> ConvSpec:
    """Return the convolution from out to x, which has a window for each pixel of x and no more.

    Where ``output_pad`` reaches the stride, more windows would fit: nothing of x is there.
    """
    conv = ConvSpec.of(
        spec.out_shape, spec.w_shape, None, stride=spec.stride, pad=spec.pad,
        dilation=spec.dilation, groups=spec.groups, dtype=spec.dtype,
    )  # fmt: skip
    return replace(conv, out_shape=spec.x_shape)
