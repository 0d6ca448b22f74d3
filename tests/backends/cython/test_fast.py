"""cython_fast: Winograd's kernels on every instruction set, and where they run at all."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from listed_kernels import DTYPES, listed
from plugin_site import Site

import convkit
from convkit import bounds, conformance, registry
from convkit.conformance import reference
from convkit.spec import ConvSpec, PoolSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")
fast = pytest.importorskip("convkit_cython.fast")
table = pytest.importorskip("convkit_cython.table")

WINOGRAD = ("winograd", "winograd_by_filters")


# x shape, filters, groups, pad. The kernel takes any 3x3 of stride 1; the table only what pays.
PROBLEMS: dict[str, tuple[tuple[int, ...], int, int, Any]] = {
    "few weights": ((3, 17, 13, 22), 19, 1, 1),
    "many weights": ((2, 130, 9, 14), 140, 1, 1),
    "several blocks of shared pixels": ((3, 200, 40, 41), 90, 1, 1),
    "groups": ((2, 36, 8, 15), 48, 2, 1),
    "wide": ((1, 18, 5, 1300), 16, 1, 1),
    "no padding": ((2, 16, 11, 7), 33, 1, 0),
    "more padding than kernel": ((2, 20, 6, 9), 16, 1, ((4, 3), (5, 0))),
    "small images": ((19, 40, 7, 7), 24, 1, 1),
    "one filter": ((2, 3, 4, 5), 1, 1, 1),
    "one result": ((2, 2, 3, 3), 3, 1, 0),
    "empty batch": ((0, 16, 8, 8), 16, 1, 1),
}


LARGE, EMPTY = ("several blocks of shared pixels",), ("empty batch",)


def arrays(name: str, dtype: Any, low: int = -64) -> tuple[ConvSpec, dict[str, np.ndarray]]:
    """Whole numbers, whose sums float64 holds exactly; transformed they round all the same."""
    x_shape, filters, groups, pad = PROBLEMS[name]
    rng = np.random.default_rng(7)
    weights = (filters, x_shape[1] // groups, 3, 3)
    spec = ConvSpec.of(x_shape, weights, (filters,), dtype=dtype, pad=pad, groups=groups)
    shapes = {"x": x_shape, "w": weights, "b": (filters,), "dout": spec.out_shape}
    return spec, {key: rng.integers(low, 65, s).astype(dtype) for key, s in shapes.items()}


def run(spec: ConvSpec, kernel: str, a: dict[str, np.ndarray], relu: bool = False) -> Any:
    """out and dx by one kernel, written into memory that held NaN."""
    plan = _kernels.ConvPlan(spec, kernel, kernel, "direct")
    out, dx = (np.full(s, np.nan, spec.dtype) for s in (spec.out_shape, spec.x_shape))
    plan.forward(a["x"], a["w"], a["b"], out, relu)
    plan.backward_x(a["dout"], a["w"], dx)
    return {"out": out, "dx": dx}


@functools.cache
def expected(name: str, dtype: Any, low: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """out and dx, each with the same sum of absolute values; the kernel's numbers are exact."""
    spec, a = arrays(name, dtype, low)
    found = {}
    for change in (np.copy, np.abs):
        x, w, b, dout = (change(a[key]).astype(np.float64) for key in ("x", "w", "b", "dout"))
        results = {
            "out": reference.conv_forward(spec, x, w, b),
            "dx": reference.conv_dx(spec, dout, w),
        }
        for what, result in results.items():
            found[what] = (*found.get(what, ()), result)
    return found


@pytest.mark.sampled(fast=10, usual=3)
@pytest.mark.parametrize("kernel", WINOGRAD)
@pytest.mark.parametrize("low", [-64, 1])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_error_is_within_the_factor_that_the_backend_states(
    isa: str, name: str, dtype: Any, low: int, kernel: str
) -> None:
    spec, a = arrays(name, dtype, low)
    got = run(spec, kernel, a)
    # The table asks for 16 channels: in shorter sums the transforms' part of the error is larger.
    chosen = listed("conv_forward", spec, table.FAST_KERNELS)[0]
    factor = fast.FastBackend.error_factor * (1 if chosen in WINOGRAD else 4)
    for what, (want, size) in expected(name, dtype, low).items():
        terms = bounds.terms(spec, what)
        bound = bounds.normwise(size, terms, dtype, factor=factor, random=True)
        assert bounds.first_bad(got[what], want, bound) is None, what


@pytest.mark.parametrize("kernel", WINOGRAD)
@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in LARGE])
def test_relu_is_the_maximum_with_zero(isa: str, name: str, kernel: str) -> None:
    spec, a = arrays(name, np.float32)
    plain, rectified = (run(spec, kernel, a, relu)["out"] for relu in (False, True))
    np.testing.assert_array_equal(rectified, np.maximum(plain, 0))


@pytest.mark.sampled(fast=10, usual=3)
@pytest.mark.parametrize("kernel", WINOGRAD)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["few weights", "many weights", *LARGE, "groups", "wide"])
def test_the_bits_do_not_depend_on_threads_or_on_what_scratch_memory_held(
    isa: str, name: str, dtype: Any, kernel: str
) -> None:
    spec, a = arrays(name, dtype)
    before, results = _kernels.num_threads(), []
    for threads in (1, 2, 5):
        _kernels.set_num_threads(threads)
        results.append(run(spec, kernel, a))
        stale, nans = arrays("many weights", dtype)
        run(stale, kernel, {key: np.full_like(v, np.nan) for key, v in nans.items()})
    _kernels.set_num_threads(before)
    for result in results[1:]:
        for key, array in result.items():
            assert array.tobytes() == results[0][key].tobytes(), key


@pytest.mark.sampled(fast=10, usual=3)
@pytest.mark.parametrize("kernel", WINOGRAD)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in LARGE + EMPTY])
def test_a_result_that_is_not_finite_leaves_the_call_to_the_exact_kernel(
    isa: str, name: str, bad: float, relu: bool, kernel: str
) -> None:
    spec, a = arrays(name, np.float32, 1)
    for spot in ("first", "last", "middle"):
        for key in ("x", "dout"):
            spoilt = {**a, key: a[key].copy()}
            size = a[key].size
            spoilt[key].flat[{"first": 0, "last": size - 1, "middle": size // 2}[spot]] = bad
            what = "out" if key == "x" else "dx"
            got, want = (run(spec, which, spoilt, relu)[what] for which in (kernel, "gemm"))
            if np.isfinite(want).all():  # read by no result, or cut off by relu
                np.testing.assert_allclose(got, want, 1e-5, 1e-5 * np.abs(want).max())
            else:
                assert got.tobytes() == want.tobytes(), (key, spot)


def results_of(backend: str, x: Any, w: Any, b: Any, keywords: Any) -> dict[str, np.ndarray]:
    out, cache = convkit.conv_forward(x, w, b, backend=backend, **keywords)
    dx, dw, db = convkit.conv_backward(np.cos(out), cache)
    return {"out": out, "dx": dx, "dw": dw, "db": db}


# x shape, w shape, keywords: for each rule of the table one problem that breaks it alone.
ELSEWHERE: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "5x5": ((2, 16, 12, 12), (16, 16, 5, 5), {"pad": 2}),
    "3x1": ((2, 16, 12, 12), (16, 16, 3, 1), {}),
    "stride": ((2, 16, 12, 12), (16, 16, 3, 3), {"stride": (1, 2), "pad": 1}),
    "dilation": ((2, 16, 12, 12), (16, 16, 3, 3), {"dilation": (2, 1), "pad": 1}),
    "15 channels": ((2, 15, 12, 12), (16, 15, 3, 3), {"pad": 1}),
    "15 filters": ((2, 16, 12, 12), (15, 16, 3, 3), {"pad": 1}),
    "15 channels in a group": ((2, 30, 12, 12), (32, 15, 3, 3), {"pad": 1, "groups": 2}),
    "tiles mostly empty": ((2, 16, 5, 5), (16, 16, 3, 3), {"pad": 1}),
    "1-D": ((2, 16, 40), (16, 16, 3), {"pad": 1}),
    "3-D": ((1, 16, 6, 6, 6), (16, 16, 3, 3, 3), {"pad": 1}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_where_winograd_does_not_apply_the_bits_are_those_of_cython(name: str, dtype: Any) -> None:
    x_shape, w_shape, keywords = ELSEWHERE[name]
    rng = np.random.default_rng(8)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (x_shape, w_shape, w_shape[:1]))
    spec = ConvSpec.of(x, w, b, **keywords)
    for operation in ("conv_forward", "conv_dx", "conv_dw"):
        assert listed(operation, spec, table.FAST_KERNELS)[0] not in WINOGRAD
    mine, theirs = (results_of(n, x, w, b, keywords) for n in ("cython_fast", "cython"))
    for key, array in theirs.items():
        assert mine[key].tobytes() == array.tobytes(), key


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_it_applies_winograd_computes_out_and_dx_and_cython_dw_and_db(dtype: Any) -> None:
    rng = np.random.default_rng(9)
    shapes = ((2, 16, 12, 12), (16, 16, 3, 3), (16,))
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    spec = ConvSpec.of(x, w, b, pad=1)
    operations = ("conv_forward", "conv_dx")
    assert all(listed(o, spec, table.FAST_KERNELS)[0] == "winograd" for o in operations)
    out, cache = convkit.conv_forward(x, w, b, pad=1, backend="cython_fast")
    exact, exact_cache = convkit.conv_forward(x, w, b, pad=1, backend="cython")
    dout = np.cos(out)
    mine, theirs = (convkit.conv_backward(dout, c) for c in (cache, exact_cache))
    assert out.tobytes() != exact.tobytes()
    assert mine[0].tobytes() != theirs[0].tobytes()
    for own, other in zip(mine[1:], theirs[1:], strict=True):
        assert own.tobytes() == other.tobytes()


def test_pooling_is_that_of_cython() -> None:
    spec = PoolSpec.of((2, 3, 9, 8), kind="max", kernel=2, dtype=np.float32)
    for operation in ("max_pool_forward", "max_pool_backward"):
        assert listed(operation, spec, table.FAST_KERNELS) == listed(operation, spec)


def test_it_is_never_chosen_automatically(site: Site) -> None:
    assert "cython_fast" not in registry.BUILTIN_ORDER
    x = "np.ones((1, 16, 8, 8), np.float32), np.ones((16, 16, 3, 3), np.float32)"
    code = f"result = convkit.conv_forward({x})[1].backend"
    assert site.value(code) == "cython"
    assert site.value(code, CONVKIT_DISABLE="cython") == "im2col_numpy"
    assert site.value(code, CONVKIT_BACKEND="cython_fast") == "cython_fast"


class Everywhere(fast.FastBackend):  # type: ignore[name-defined,misc]
    """Winograd for every 3x3 convolution of stride 1, as small as the suite's cases are."""

    name = "winograd_everywhere"
    error_factor = 8.0
    kernels = tuple(
        dataclasses.replace(kernel, pays=lambda spec, isa: True)
        for kernel in table.FAST_KERNELS
        if kernel.name != "winograd_by_filters"
    )


COSTLY = ("space", "large")
"""Checks of many problems, few of which Winograd applies to."""


@pytest.mark.long
@pytest.mark.sampled(usual=2)
@pytest.mark.parametrize(
    "left_out", [COSTLY, pytest.param((), marks=pytest.mark.slow)], ids=["small", "all"]
)
def test_the_kernel_is_clean_on_the_problems_of_the_suite(
    isa: str, left_out: tuple[str, ...]
) -> None:
    checks = [name for name in conformance.CHECKS if name not in left_out]
    ops = ("conv", "conv_relu_pool")
    report = conformance.run(Everywhere(), "quick", ops=ops, checks=checks)
    assert report.ok, report.failure_text("winograd_everywhere")
