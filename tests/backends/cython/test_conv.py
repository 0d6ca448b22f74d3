"""The compiled backend's convolutions: each listed kernel on each instruction set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from listed_kernels import DTYPES, integers, listed

from convkit.spec import ConvSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")


def conv_reference(
    spec: ConvSpec, x: np.ndarray, w: np.ndarray, dout: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """out, dx and dw from the definition, in float64, tap by tap, never reading padding."""
    x, w, dout = (a.astype(np.float64) for a in (x, w, dout))
    out, dx, dw = np.zeros(spec.out_shape), np.zeros_like(x), np.zeros_like(w)
    fg, cg = w.shape[0] // spec.groups, w.shape[1]
    for group in range(spec.groups):
        fs, cs = slice(group * fg, (group + 1) * fg), slice(group * cg, (group + 1) * cg)
        for tap, o, i in spec.taps():
            here = (slice(None), cs, *i)
            there = (slice(None), fs, *o)
            weights = w[(fs, slice(None), *tap)]
            out[there] += np.einsum("fc,nc...->nf...", weights, x[here])
            dx[here] += np.einsum("fc,nf...->nc...", weights, dout[there])
            size = int(np.prod([r.stop - r.start for r in o]))
            dw[(fs, slice(None), *tap)] = np.einsum(
                "nfp,ncp->fc",
                dout[there].reshape(len(x), fg, size),
                x[here].reshape(len(x), cg, size),
            )
    return out, dx, dw


# x shape, w shape, and the keywords of ConvSpec.of: every axis with a value of its own.
CONVS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "course": ((3, 3, 31, 31), (25, 3, 3, 3), {"stride": 2, "pad": 1}),
    "course 7x7": ((2, 3, 32, 32), (32, 3, 7, 7), {"pad": 3}),
    "axes differ": (
        (2, 5, 17, 23),
        (7, 5, 3, 4),
        {"stride": (2, 3), "pad": ((1, 2), (0, 3)), "dilation": (3, 2)},
    ),
    "groups": ((2, 12, 9, 14), (18, 4, 3, 2), {"groups": 3, "stride": (1, 2), "pad": (1, 0)}),
    "depthwise": ((2, 13, 11, 15), (13, 1, 3, 3), {"groups": 13, "pad": 1}),
    "depthwise, windows in the padding": (
        (2, 2, 5, 10),
        (2, 1, 2, 4),
        {"groups": 2, "stride": (1, 2), "pad": ((1, 3), (1, 1)), "dilation": (2, 1)},
    ),
    "depthwise 3x3": ((2, 3, 7, 35), (3, 1, 3, 3), {"groups": 3, "pad": ((1, 0), (0, 2))}),
    "depthwise 3x3 s2": ((3, 5, 14, 14), (5, 1, 3, 3), {"groups": 5, "stride": 2, "pad": 1}),
    "depthwise 3x3 s2 wide": ((2, 3, 9, 69), (3, 1, 3, 3), {"groups": 3, "stride": 2, "pad": 1}),
    "depthwise 3x3 s2 leftover": (
        (2, 3, 8, 18),
        (3, 1, 3, 3),
        {"groups": 3, "stride": 2, "pad": ((1, 0), (1, 0))},
    ),
    "depthwise 3x3 s2, other padding": (
        (2, 3, 10, 40),
        (3, 1, 3, 3),
        {"groups": 3, "stride": 2, "pad": ((0, 1), (2, 1))},
    ),
    "depthwise 3x3 pad > kernel": (
        (2, 2, 4, 5),
        (2, 1, 3, 3),
        {"groups": 2, "pad": ((4, 3), (5, 4))},
    ),
    "multiplier": ((2, 6, 11, 15), (12, 1, 3, 5), {"groups": 6, "stride": 2}),
    "1x1": ((3, 33, 7, 9), (35, 33, 1, 1), {}),
    "1x1 stride": ((2, 19, 9, 12), (17, 19, 1, 1), {"stride": (2, 3)}),
    "1x1 pad": ((2, 4, 5, 6), (3, 4, 1, 1), {"pad": (2, 1)}),
    "small images": ((5, 70, 7, 7), (66, 70, 3, 3), {"pad": 1}),
    "images not whole vectors": ((3, 40, 7, 9), (33, 40, 3, 3), {"pad": 1}),
    "wide": ((1, 2, 3, 200), (3, 2, 2, 5), {"pad": (0, 2)}),
    "tall": ((1, 2, 150, 3), (40, 2, 5, 2), {"stride": (3, 1)}),
    "pad >= kernel": ((2, 3, 4, 5), (4, 3, 2, 3), {"pad": ((3, 2), (4, 5))}),
    "stride > kernel": ((2, 3, 14, 19), (5, 3, 2, 2), {"stride": (3, 5)}),
    "leftover": ((2, 3, 12, 13), (5, 3, 3, 3), {"stride": (4, 5)}),
    "kernel = image": ((4, 9, 6, 5), (11, 9, 6, 5), {}),
    "as many rows, the last of padding": (
        (3, 33, 2, 11),
        (40, 33, 1, 3),
        {"stride": (3, 2), "pad": ((0, 3), (1, 1))},
    ),
    "one pixel": ((3, 5, 1, 1), (4, 5, 1, 1), {}),
    "empty batch": ((0, 3, 5, 6), (4, 3, 3, 3), {"pad": 1}),
    "many channels": ((1, 300, 6, 5), (20, 300, 3, 3), {"pad": 1}),
    "many filters": ((1, 20, 6, 5), (300, 20, 3, 3), {"pad": 1}),
    "weights for all threads to pack": ((1, 130, 5, 6), (110, 130, 3, 3), {"pad": 1}),
    "deep stride": ((2, 40, 14, 14), (48, 40, 3, 3), {"stride": 2, "pad": 1}),
    "deep stride, more weights than are packed ahead": (
        (1, 250, 5, 4),
        (300, 250, 3, 3),
        {"stride": 2, "pad": 1},
    ),
    "big map": ((1, 16, 60, 61), (16, 16, 3, 3), {"pad": 1}),
    "rows narrower than a vector": ((5, 3, 10, 9), (16, 3, 5, 5), {}),
    "rows run on": ((3, 20, 14, 14), (30, 20, 3, 3), {"pad": 1}),
    "rows run on, many taps": ((1, 24, 21, 27), (40, 24, 5, 5), {"pad": 2}),
    "rows run on, every second column": (
        (2, 6, 15, 19),
        (40, 6, 3, 3),
        {"stride": 2, "dilation": (1, 2), "pad": 2},
    ),
    "odd width, every second column": ((2, 7, 11, 25), (20, 7, 3, 3), {"stride": 2, "pad": 1}),
    "1x1, every second column": ((2, 19, 7, 49), (17, 19, 1, 1), {"stride": 2}),
    "1x1, every second column of one": ((2, 3, 5, 1), (4, 3, 1, 1), {"stride": 2}),
    "few channels, images together": (
        (25, 3, 12, 18),
        (30, 3, 2, 7),
        {"stride": (2, 4), "pad": ((3, 1), (0, 4))},
    ),
    "few channels, many filters": ((3, 5, 13, 20), (530, 5, 3, 2), {"stride": 2, "pad": (1, 0)}),
    "few channels, in bands": (
        (1, 3, 94, 150),
        (34, 3, 5, 4),
        {"stride": (3, 2), "pad": ((2, 4), (1, 2))},
    ),
    "few channels, next to each other": ((2, 2, 70, 120), (50, 2, 3, 3), {"pad": ((0, 1), (2, 1))}),
    "few channels of groups": (
        (2, 10, 11, 23),
        (128, 5, 3, 3),
        {"groups": 2, "stride": 2, "pad": 1},
    ),
    "1-D few channels": ((9, 2, 90), (24, 2, 5), {"stride": 3, "pad": ((4, 7),), "dilation": 2}),
    "1-D": ((2, 5, 40), (6, 5, 7), {"stride": 2, "pad": 3, "dilation": 2}),
    "3-D": (
        (2, 4, 7, 8, 9),
        (6, 2, 3, 2, 4),
        {"stride": (2, 1, 3), "pad": ((1, 0), (1, 1), (2, 0)), "groups": 2, "dilation": (1, 2, 1)},
    ),
    "3-D small planes": ((3, 4, 6, 5, 5), (17, 4, 3, 3, 3), {"pad": 1}),
    "3-D deep": ((2, 40, 4, 6, 7), (66, 40, 3, 2, 3), {"pad": (1, 0, 1)}),
    "3-D one plane of results": ((3, 5, 4, 9, 8), (7, 5, 4, 3, 2), {"stride": (1, 2, 1)}),
    "3-D pixel by pixel": ((2, 19, 3, 5, 7), (17, 19, 1, 1, 1), {}),
    "3-D pixel by pixel, some planes": ((2, 9, 7, 4, 6), (5, 9, 1, 1, 1), {"stride": (3, 1, 1)}),
    "3-D depth alone": (
        (2, 6, 9, 4, 6),
        (5, 6, 3, 1, 1),
        {"pad": (2, 0, 0), "dilation": (2, 1, 1)},
    ),
    "3-D stride over one row": ((2, 9, 5, 1, 19), (17, 9, 1, 1, 2), {"stride": (1, 2, 2)}),
    "3-D stride over one plane": (
        (2, 5, 1, 7, 6),
        (4, 5, 1, 1, 3),
        {"stride": (2, 1, 1), "pad": (0, 0, 1)},
    ),
    "3-D stride > kernel": ((2, 3, 11, 6, 8), (5, 3, 2, 2, 3), {"stride": (4, 3, 2)}),
    "3-D pad > kernel": ((2, 3, 2, 6, 8), (5, 3, 2, 3, 3), {"pad": ((5, 4), (1, 1), (0, 2))}),
    "more taps than are listed": ((2, 2, 24, 25), (3, 2, 23, 23), {"pad": (0, 1)}),
    "3-D 1x1, the only plane of results is padding": (
        (2, 5, 1, 7, 9),
        (4, 5, 1, 1, 1),
        {"stride": (2, 1, 1), "pad": ((1, 0), (0, 0), (0, 0))},
    ),
    "3-D, strips that differ by phase of depth": (
        (1, 20, 3, 14, 14),
        (16, 20, 3, 3, 3),
        {"stride": (2, 1, 1), "pad": 1},
    ),
    "3-D empty batch": ((0, 3, 4, 5, 6), (4, 3, 2, 3, 3), {"pad": 1}),
}


LARGE = ("many filters", "many channels", "deep stride, more weights than are packed ahead")
"""They take long, and share their kernels with others."""


def conv_cases() -> list[Any]:
    return [pytest.param(*case, id=name) for name, case in CONVS.items()]


OPERATIONS = ("conv_forward", "conv_dx", "conv_dw")


def plan_for(spec: ConvSpec, **names: str) -> Any:
    """A plan with the chosen kernels but those given by name."""
    return _kernels.ConvPlan(spec, *(names.get(o, listed(o, spec)[0]) for o in OPERATIONS))


def plans_of_all_kernels(spec: ConvSpec) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Plans in which every listed kernel occurs, with their kernels' names."""
    for names in itertools.zip_longest(*(listed(o, spec) for o in OPERATIONS), fillvalue="direct"):
        yield _kernels.ConvPlan(spec, *names), names


def run_conv(plan: Any, x: Any, w: Any, b: Any, dout: Any) -> dict[str, np.ndarray]:
    """Every result of a plan, into memory that held NaN."""
    spec, dtype = plan.spec, x.dtype
    out, dx = np.full(spec.out_shape, np.nan, dtype), np.full(x.shape, np.nan, dtype)
    dw, db = np.full(w.shape, np.nan, dtype), np.full(w.shape[:1], np.nan, dtype)
    plan.forward(x, w, b, out)
    plan.backward_x(dout, w, dx)
    plan.backward_w(dout, x, dw, db)
    return {"out": out, "dx": dx, "dw": dw, "db": db}


@pytest.mark.sampled(fast=5, usual=2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("x_shape", "w_shape", "keywords"), conv_cases())
def test_every_conv_kernel_is_exact_on_integers(
    isa: str, x_shape: Any, w_shape: Any, keywords: Any, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    x, w = integers(rng, x_shape, dtype), integers(rng, w_shape, dtype)
    b = integers(rng, w_shape[:1], dtype)
    spec = ConvSpec.of(x, w, b, **keywords)
    dout = integers(rng, spec.out_shape, dtype)
    out, dx, dw = conv_reference(spec, x, w, dout)
    bias = b.reshape(-1, *[1] * (x.ndim - 2))
    db = dout.sum(axis=(0, *range(2, x.ndim)), dtype=np.float64)
    for plan, names in plans_of_all_kernels(spec):
        got = run_conv(plan, x, w, b, dout)
        np.testing.assert_array_equal(got["out"], out + bias, f"forward kernel {names[0]}")
        np.testing.assert_array_equal(got["dx"], dx, f"dx kernel {names[1]}")
        np.testing.assert_array_equal(got["dw"], dw, f"dw kernel {names[2]}")
        np.testing.assert_array_equal(got["db"], db, f"dw kernel {names[2]}")
        no_bias = np.full(spec.out_shape, np.nan, dtype)
        plan.forward(x, w, None, no_bias)
        np.testing.assert_array_equal(no_bias, out)
        plan.forward(x, w, b, no_bias, True)
        np.testing.assert_array_equal(no_bias, np.maximum(out + bias, 0))
        plan.backward_w(dout, x, None, got["db"])
        np.testing.assert_array_equal(got["db"], db)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "keywords", "preferred"),
    [
        pytest.param(
            (4, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "pad": 3}, "columns", id="first"
        ),
        pytest.param((4, 64, 56, 56), (64, 64, 3, 3), {"pad": 1}, "gemm", id="many channels"),
        pytest.param((4, 3, 32, 32), (8, 3, 3, 3), {"pad": 1}, "gemm", id="few filters"),
        pytest.param(
            (4, 6, 14, 14), (16, 6, 5, 5), {}, "columns", id="results meet mostly padding"
        ),
        pytest.param((1, 2, 300_000), (64, 2, 9), {"pad": 4}, "gemm", id="a row fills the cache"),
        pytest.param((1, 6, 9, 9), (9000, 6, 5, 5), {}, "gemm", id="weights are large to copy"),
    ],
)
def test_dx_goes_by_columns_where_channels_are_few_and_columns_small(
    x_shape: Any, w_shape: Any, keywords: Any, preferred: str
) -> None:
    spec = ConvSpec.of(x_shape, w_shape, dtype=np.float32, **keywords)
    chosen = listed("conv_dx", spec)[0]
    assert (chosen if chosen == "columns" else chosen.partition("_")[0]) == preferred


def masks(array: np.ndarray) -> list[np.ndarray]:
    return [np.isnan(array), array == np.inf, array == -np.inf]


@pytest.mark.sampled(fast=10, usual=3)
@pytest.mark.parametrize("where", ["x", "dout"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name",
    [n for n, (x, *_) in CONVS.items() if x[0] and n not in LARGE],
)
def test_a_non_finite_value_reaches_exactly_its_windows(
    isa: str, name: str, bad: float, where: str
) -> None:
    x_shape, w_shape, keywords = CONVS[name]
    rng = np.random.default_rng(1)
    for dtype, spot in itertools.product(DTYPES, ("first", "last", "middle")):
        x, w = rng.integers(1, 5, x_shape).astype(dtype), rng.integers(1, 5, w_shape).astype(dtype)
        spec = ConvSpec.of(x, w, **keywords)
        dout = rng.integers(1, 5, spec.out_shape).astype(dtype)
        array = x if where == "x" else dout
        array.flat[{"first": 0, "last": -1, "middle": array.size // 2}[spot]] = bad
        with np.errstate(invalid="ignore"):
            want = dict(zip(("out", "dx", "dw"), conv_reference(spec, x, w, dout), strict=True))
        for plan, names in plans_of_all_kernels(spec):
            got = run_conv(plan, x, w, None, dout)
            for key, expected in want.items():
                for mine, theirs in zip(masks(got[key]), masks(expected), strict=True):
                    np.testing.assert_array_equal(mine, theirs, f"{key} by kernels {names}")


@pytest.mark.parametrize("name", ["images not whole vectors", "small images", "course", "groups"])
def test_what_an_earlier_call_left_in_scratch_memory_does_not_matter(isa: str, name: str) -> None:
    x_shape, w_shape, keywords = CONVS[name]
    rng = np.random.default_rng(5)
    x, w = integers(rng, x_shape, np.float32), integers(rng, w_shape, np.float32)
    spec = ConvSpec.of(x, w, **keywords)
    dout = integers(rng, spec.out_shape, np.float32)
    before = _kernels.num_threads()
    _kernels.set_num_threads(1)
    wanted = run_conv(plan_for(spec), x, w, None, dout)
    stale = ConvSpec.of((4, 64, 20, 20), (64, 64, 3, 3), dtype=np.float32)
    nans = [np.full(s, np.nan, np.float32) for s in (stale.x_shape, stale.w_shape, stale.out_shape)]
    run_conv(plan_for(stale), nans[0], nans[1], None, nans[2])
    for key, array in run_conv(plan_for(spec), x, w, None, dout).items():
        np.testing.assert_array_equal(array, wanted[key], key)
    assert all(np.isfinite(array).all() for array in wanted.values())
    _kernels.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dw_of_far_taps_does_not_read_what_lies_behind_the_strip(isa: str, dtype: Any) -> None:
    """A dilation that reaches further than the strip has room for vectors, with NaN left there."""
    rng = np.random.default_rng(3)
    backend = convkit_cython.convkit_backend()

    def dw(x: np.ndarray, w: np.ndarray, **keywords: Any) -> np.ndarray:
        spec = ConvSpec.of(x, w, groups=len(w), **keywords)
        dout = np.ones(spec.out_shape, dtype) / 7
        return backend.conv_backward(spec, dout, x, w, None, ("dw",))[1]

    far = rng.standard_normal((2, 4, 200)).astype(dtype), np.ones((4, 1, 3), dtype)
    clean = dw(*far, pad=64, dilation=64)
    x, w = np.full((1, 8, 60, 60), np.nan, dtype), np.ones((8, 1, 5, 5), dtype)
    spec = ConvSpec.of(x, w, groups=8, pad=2)
    backend.conv_backward(spec, x, x, w, None, ("dx", "dw"))
    np.testing.assert_array_equal(dw(*far, pad=64, dilation=64), clean)


@pytest.mark.parametrize(
    "name",
    [
        *("course", "small images", "groups", "big map", "deep stride", "many filters"),
        *("depthwise", "depthwise 3x3 s2"),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_do_not_depend_on_the_number_of_threads(isa: str, name: str, dtype: Any) -> None:
    x_shape, w_shape, keywords = CONVS[name]
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((8, *x_shape[1:])), rng.standard_normal(w_shape)
    spec = ConvSpec.of(x.astype(dtype), w.astype(dtype), **keywords)
    dout = rng.standard_normal(spec.out_shape).astype(dtype)
    before, results = _kernels.num_threads(), []
    for threads in (1, 2, 5):
        _kernels.set_num_threads(threads)
        results.append(run_conv(plan_for(spec), x.astype(dtype), w.astype(dtype), None, dout))
    _kernels.set_num_threads(before)
    for result in results[1:]:
        for key, array in result.items():
            assert array.tobytes() == results[0][key].tobytes(), key
