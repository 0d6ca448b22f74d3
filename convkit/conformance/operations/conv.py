"""Convolution in the suite: its problems, exact data, reference results and the laws it obeys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, Inputs, integers, magnitudes
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import (
    Entry,
    FastResults,
    Geometry,
    Problems,
    draw_axes,
    draw_ints,
    draw_pads,
)
from convkit.conformance.operations import conv_space
from convkit.conformance.operations.conv_problems import BEYOND_QUICK, STRUCTURED
from convkit.conformance.reference import FloatArray
from convkit.operations import OPERATIONS
from convkit.spec import PAD_MODES, ConvSpec


class Conv(Entry):
    """A convolution is linear in its input, its weights and its bias."""

    structured: ClassVar[Problems] = STRUCTURED
    structured_beyond_quick: ClassVar[Problems] = BEYOND_QUICK
    weights: ClassVar[tuple[str, ...]] = ("w",)
    laws: ClassVar[tuple[str, ...]] = (
        "linearity",
        "translation",
        "batch-independence",
        "channel-permutation",
        "groups-are-blocks",
        "dilation-is-stuffing",
        "stride-is-subsampling",
        "padding-copies-pixels",
    )
    several_paths: ClassVar[tuple[str, ...]] = (
        "plain",
        "pad",
        "stride",
        "1x1",
        "groups",
        "depthwise",
        "dilation",
        "pad mode",
    )
    spaces: ClassVar[tuple[Space, ...]] = conv_space.SPACES
    larger: ClassVar[Geometry] = {"x": (3, 8, 19, 17), "w": (16, 8, 3, 3), "pad": ((1, 1), (0, 2))}
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (5, 6, 17, 19), "w": (10, 6, 3, 3), "pad": ((1, 0), (2, 1))},
        {"x": (1, 16, 23, 21), "w": (16, 1, 3, 3), "groups": 16, "pad": (1, 1)},
        {"x": (1, 5, 30, 31), "w": (7, 5, 1, 1), "stride": (2, 1)},
        {"x": (5, 4, 16, 15), "w": (8, 4, 3, 3), "pad": ((1, 2), (2, 0)), "pad_mode": "reflect"},
    )
    twins: ClassVar[tuple[Geometry, ...]] = (
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3)},
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3), "dilation": (2, 2), "pad": (1, 1)},
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3), "dilation": (2, 1), "pad": ((1, 1), (0, 0))},
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3), "dilation": (2, 1), "pad": ((2, 0), (0, 0))},
        {"x": (1, 4, 9, 9), "w": (4, 2, 3, 3), "groups": 2},
        {"x": (1, 4, 9, 9), "w": (4, 1, 3, 3), "groups": 4},
        *(
            {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3), "pad": ((1, 2), (2, 1)), "pad_mode": mode}
            for mode in PAD_MODES
        ),
    )
    spelled: ClassVar[Geometry] = {
        "x": (2, 3, 8, 7), "w": (4, 3, 3, 3), "stride": 2, "pad": 1, "pad_mode": "circular",
    }  # fmt: skip
    padded_same: ClassVar[tuple[Geometry, ...]] = (
        {"x": (2, 3, 8, 9), "pad": ((0, 1), (1, 2)), "stride": (1, 1), "w": (4, 3, 2, 4)},
        {"x": (2, 3, 9, 8), "w": (4, 3, 3, 2), "dilation": (2, 2)},
    )
    wide: ClassVar[Geometry] = {"w": (1, 1, 2, 2), "bias": False}

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """One dimension at a time."""
        yield "F", {"x": (1, 3, 4, 5), "w": (size, 3, 2, 3)}
        yield "C", {"x": (2, size, 4, 3), "w": (3, size, 3, 2), "pad": ((1, 0), (0, 1))}
        yield "N", {"x": (size, 2, 4, 3), "w": (3, 2, 2, 2)}
        yield "OW", {"x": (1, 2, 3, size + 2), "w": (3, 2, 2, 3)}
        yield "OH", {"x": (1, 2, size + 1, 4), "w": (3, 2, 2, 3)}
        yield "depthwise", {"x": (1, size, 5, 6), "w": (size, 1, 3, 2), "groups": size}
        yield "1x1", {"x": (1, size, 3, size), "w": (5, size, 1, 1)}

    def extremes(self, level: str) -> Iterator[Geometry]:
        """Long rows and columns, many filters, channels, images and groups."""
        for x, w in (
            ((1, 1, 2, 45), (2, 1, 1, 37)),
            ((1, 1, 47, 2), (2, 1, 39, 1)),
            ((1, 1, 18, 20), (2, 1, 17, 18)),
            ((1, 1, 1, 1101), (2, 1, 1, 2)),
            ((1, 1, 1102, 1), (2, 1, 2, 1)),
            ((1, 1, 1, 33_001), (1, 1, 1, 2)),
            ((1, 1, 33_002, 1), (1, 1, 2, 1)),
            ((1, 1, 2, 2), (300, 1, 1, 2)),
            ((1, 300, 2, 2), (2, 300, 2, 1)),
            ((300, 1, 2, 3), (1, 1, 2, 2)),
        ):
            yield {"x": x, "w": w}
        yield {"x": (1, 300, 2, 3), "w": (300, 1, 2, 2), "groups": 300}

    def large(self, level: str) -> Iterator[Geometry]:
        """Long sums, many images, filters and channels, long signals, large images and kernels."""
        yield {"x": (1, 463, 4, 3), "w": (3, 463, 3, 3), "pad": 1}
        yield {"x": (1, 4100, 2, 3), "w": (5, 4100, 1, 1)}
        yield {"x": (1, 10_007, 1, 2), "w": (2, 10_007, 1, 1)}
        yield {"x": (1, 420, 5, 5), "w": (2, 420, 5, 5), "stride": 2, "pad": 2}
        yield {"x": (1, 2, 3, 2), "w": (16_500, 2, 1, 1)}
        yield {"x": (1, 1, 2, 2), "w": (65_600, 1, 1, 1)}
        yield {"x": (1, 4, 4, 4), "w": (1025, 4, 3, 3), "pad": 1}
        yield {"x": (1100, 2, 3, 3), "w": (3, 2, 3, 3), "pad": 1}
        yield {"x": (1030, 3, 2, 3), "w": (9, 3, 1, 1)}
        yield {"x": (65_600, 1, 1, 1), "w": (1, 1, 1, 1)}
        yield {"x": (33, 1000, 1, 2), "w": (1000, 1, 1, 2), "groups": 1000}
        yield {"x": (1, 33_000, 2, 2), "w": (33_000, 1, 2, 2), "groups": 33_000}
        yield {"x": (2, 4, 9, 8), "w": (5, 4, 3, 3), "pad": 1, "groups": 1, "stride": (7, 5)}
        yield {"x": (1, 3, 190, 185), "w": (4, 3, 3, 3), "pad": 1}
        yield {"x": (1, 8, 187, 181), "w": (8, 8, 1, 1)}
        yield {"x": (1, 2, 370, 190), "w": (3, 2, 3, 3), "stride": 2, "pad": 1}
        yield {"x": (1, 3, 182, 184), "w": (3, 1, 3, 3), "groups": 3, "pad": 1}
        yield {"x": (2, 2, 5000), "w": (3, 2, 5), "pad": 2}
        yield {"x": (1, 2, 70_001), "w": (2, 2, 3)}
        yield {"x": (1, 5, 9001), "w": (5, 1, 9), "groups": 5, "pad": 4}
        yield {"x": (1, 1, 1400), "w": (2, 1, 769)}
        yield {"x": (1, 2, 3, 1300), "w": (2, 2, 1, 499), "pad": ((0, 0), (249, 249))}
        yield {"x": (1, 3, 34, 33, 31), "w": (2, 3, 1, 1, 1)}
        yield {"x": (1, 130, 3, 4), "w": (514, 130, 1, 1)}
        yield {"x": (1, 40, 6, 6), "w": (530, 40, 3, 3), "pad": 1}
        yield {"x": (1, 1, 183, 182), "w": (1, 1, 182, 182)}
        yield {"x": (1, 1, 65_539), "w": (1, 1, 65_537)}
        yield {"x": (1, 2, 2000), "w": (2, 2, 3), "pad": ((1500, 1999),), "pad_mode": "reflect"}
        yield {
            "x": (1, 2, 3, 40),
            "w": (2, 2, 3, 3),
            "pad": ((300, 1), (2, 260)),
            "pad_mode": "edge",
        }
        yield {"x": (1, 300, 3, 4), "w": (2, 300, 3, 3), "pad": 2, "pad_mode": "circular"}
        # megabytes of weights with a stride; and as many channels as one block has, in float64
        yield {"x": (1, 256, 8, 7), "w": (288, 256, 3, 3), "stride": 2, "pad": 1}
        yield {"x": (1, 320, 5, 6), "w": (2100, 320, 1, 1), "stride": 2}
        yield {"x": (1, 16, 12, 13), "w": (16, 16, 3, 3), "pad": 1}
        if level != "quick":  # for a kernel of that many taps is slow to walk over
            yield {"x": (1, 1, 190, 189), "w": (1, 1, 182, 182)}
            yield {"x": (1, 1, 66_000), "w": (1, 1, 65_537)}

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return out, dx, dw and, with a bias, db."""
        spec: ConvSpec = case.specs[0]
        cols = fast_reference.columns(spec, given.x)
        out = fast_reference.conv_out(spec, cols, given.w, given.b)
        return {"out": out, **gradients(spec, cols, given.w, given.dout)}

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small convolution; it need not be valid."""
        axes = draw_axes(rng)
        groups = int(rng.choice([1, 1, 1, 2, 3, 4]))
        per_group, filters = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        return {
            "x": (int(rng.integers(1, 5)), per_group * groups, *draw_ints(rng, axes, 3, 14)),
            "w": (filters * groups, per_group, *draw_ints(rng, axes, 1, 5)),
            "bias": bool(rng.random() < 0.7),
            "stride": draw_ints(rng, axes, 1, 4),
            "pad": draw_pads(rng, axes, 3),
            "dilation": draw_ints(rng, axes, 1, 3) if rng.random() < 0.5 else (1,) * axes,
            "groups": groups,
        }

    def searched(self, draw: Any, flag: Any) -> Geometry:
        """Draw what a search of the laws asks; small numbers shrink first."""
        groups = draw(1, 3)
        channels, filters = draw(1, 3), draw(1, 3)
        return {
            "x": (draw(1, 3), channels * groups, draw(1, 9), draw(1, 9)),
            "w": (filters * groups, channels, draw(1, 4), draw(1, 4)),
            "bias": flag(),
            "stride": (draw(1, 3), draw(1, 3)),
            "pad": ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2))),
            "dilation": (draw(1, 3), draw(1, 3)),
            "groups": groups,
        }

    def overlap(self, case: Case) -> int:
        """How many results a gradient of a convolution's output adds up at most."""
        return 1

    def exact(self, case: Case, rng: np.random.Generator) -> Arrays:
        """Integers with sum |x||w| + |b| <= 2**24 (float32) or 2**53 for every result."""
        bits = 24 if case.dtype == "float32" else 53
        spec: ConvSpec = case.specs[0]
        k_out, k_dx, k_dw = (bounds.terms(spec, what) for what in ("out", "dx", "dw"))
        k_dx, k_dw = k_dx * self.overlap(case), k_dw * self.overlap(case)
        room = 2.0**bits
        lean = rng.choice([0.35, 0.5, 0.65])  # small pixels with large weights, and the reverse
        top_x = max(1, int((room / (2 * k_out)) ** lean))
        top_w = max(1, int(room / (2 * k_out) / top_x))
        top_x = min(top_x, max(1, int(room / k_dw)))  # dw sums a whole image of x times dout
        top_w = min(top_w, max(1, int(room / k_dx)))  # dx sums dout over all copies of a pixel
        top_d = max(1, int(min(room / (k_dx * top_w), room / (k_dw * top_x))))
        top_d = min(top_d, 2 ** (bits - 2) // max(1, k_dw, bounds.terms(spec, "db")))
        shapes = case.shapes
        return {
            "x": integers(rng, shapes["x"], top_x),
            "w": integers(rng, shapes["w"], top_w),
            "b": integers(rng, shapes["b"], max(1, top_w * top_x)),
            "dout": integers(rng, case.out_shape, max(1, top_d)),
        }

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out, dx, dw and, with a bias, db."""
        return linear(case, arrays, rounds)


def gradients(
    spec: ConvSpec, cols: FloatArray, w: FloatArray, dout: FloatArray
) -> dict[str, FloatArray]:
    """Return dx, dw and, with a bias, db by name, from the columns of x."""
    found = fast_reference.conv_gradients(spec, cols, w, dout)
    return dict(zip(OPERATIONS[spec.operation].gradients, found, strict=False))


def linear(case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
    """Return the reference's results of the convolution that a case begins with."""
    spec: ConvSpec = case.specs[0]
    dot = reference.wide_dot if rounds and case.dtype == "float64" else reference.dot
    x, w, b, dout = (arrays[name] for name in ("x", "w", "b", "dout"))
    ax, aw, ab, ad = magnitudes(x, w, b, dout)
    pairs = {
        "out": (
            reference.conv_forward(spec, x, w, b, dot),
            reference.conv_forward(spec, ax, aw, ab),
        ),
        "dx": (reference.conv_dx(spec, dout, w, dot), reference.conv_dx(spec, ad, aw)),
        "dw": (reference.conv_dw(spec, dout, x, dot), reference.conv_dw(spec, ad, ax)),
    }
    if b is not None:
        pairs["db"] = (reference.conv_db(spec, dout, dot), reference.conv_db(spec, ad))
    return {
        name: Expected.of(ref, S, bounds.terms(spec, name), exact=not rounds)
        for name, (ref, S) in pairs.items()
    }


def apart(case: Case, arrays: Arrays) -> Arrays:
    """Return data whose kernels have a single one, so that pixels far apart stay so in out."""
    w = case.shapes["w"]
    taps = np.zeros(w)
    for f in range(w[0]):
        taps[(f, f % w[1], *(k // 2 for k in w[2:]))] = 1
    b = None if case.shapes["b"] is None else np.zeros(case.shapes["b"])
    return {"x": arrays["x"] + 0.25, "w": taps, "b": b, "dout": arrays["dout"]}


def rectified(z: FloatArray) -> tuple[Any, FloatArray]:
    """Return where z is above 0, and relu(z), which keeps NaN."""
    with np.errstate(invalid="ignore"):
        on = z > 0
        return on, np.where(on | np.isnan(z), z, 0)
