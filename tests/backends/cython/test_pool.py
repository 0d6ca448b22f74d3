"""Pooling of the compiled backend: every listed kernel on every instruction set, by window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from listed_kernels import DTYPES, integers, listed

from convkit.spec import PoolSpec

_kernels = pytest.importorskip("convkit_cython._kernels")


# x shape and the keywords of PoolSpec.of.
POOLS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "course": ((3, 25, 16, 16), {"kernel": 2, "stride": 2}),
    "2x2 over the end": ((2, 3, 7, 17), {"kernel": 2, "ceil_mode": True}),
    "3x3 s2 p1": ((2, 5, 15, 18), {"kernel": 3, "stride": 2, "pad": 1}),
    "3x3 s1": ((2, 5, 15, 18), {"kernel": 3, "stride": 1, "pad": 1}),
    "3x4 s1, other padding": (
        (3, 2, 7, 19),
        {"kernel": (3, 4), "stride": 1, "pad": ((2, 0), (1, 2))},
    ),
    "2x2 s1, padding above": (
        (2, 3, 6, 5),
        {"kernel": 2, "stride": 1, "pad": ((1, 0), (0, 1))},
    ),
    "4x3 s1, a plane of few pixels": (
        (9, 5, 4, 3),
        {"kernel": (4, 3), "stride": 1, "pad": ((1, 2), (1, 1))},
    ),
    "3x3 s1, in parts": ((1, 1, 60, 70), {"kernel": 3, "stride": 1, "pad": 1}),
    "4x4 s2 wide": ((1, 2, 15, 75), {"kernel": 4, "stride": 2, "pad": ((1, 2), (0, 1))}),
    "2x2 s1": ((2, 2, 5, 33), {"kernel": 2, "stride": 1}),
    "2x2, a row and a column left": ((2, 2, 7, 37), {"kernel": 2}),
    "3x2 tiles": ((2, 2, 11, 70), {"kernel": (3, 2)}),
    "global": ((2, 5, 7, 9), {"kernel": (7, 9)}),
    "global, many planes": ((5, 7, 5, 4), {"kernel": (5, 4)}),
    "global, few pixels": ((3, 7, 1, 3), {"kernel": (1, 3)}),
    "axes differ": (
        (2, 3, 17, 22),
        {"kernel": (3, 4), "stride": (2, 3), "pad": ((1, 0), (2, 1)), "ceil_mode": True},
    ),
    "leftover": ((2, 3, 11, 14), {"kernel": 2, "stride": (3, 4)}),
    "wide window": ((1, 2, 40, 41), {"kernel": (20, 19), "stride": 3}),
    "1-D": ((2, 3, 50), {"kernel": 4, "stride": 3, "pad": 1, "ceil_mode": True}),
    "3-D": ((2, 3, 6, 7, 8), {"kernel": (2, 3, 2), "stride": (2, 1, 3), "pad": (1, 1, 0)}),
    "1-D tiles": ((2, 3, 75), {"kernel": 2}),
    "3-D tiles": ((2, 3, 4, 6, 34), {"kernel": 2}),
    "3-D tiles, some left on every axis": ((2, 2, 7, 7, 9), {"kernel": (3, 2, 2)}),
    "empty batch": ((0, 3, 6, 6), {"kernel": 2}),
}


def pool_reference(
    spec: PoolSpec, x: np.ndarray, dout: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """out and dx window by window, in float64."""
    out, dx = np.zeros(spec.out_shape), np.zeros(spec.x_shape)
    for n, c in np.ndindex(*spec.x_shape[:2]):
        for at in np.ndindex(*spec.out_shape[2:]):
            taps = [
                [i for t in range(k) if 0 <= (i := o * s - p[0] + t * d) < size]
                for o, k, s, p, d, size in zip(
                    at, spec.kernel, spec.stride, spec.pad, spec.dilation, x.shape[2:], strict=True
                )
            ]
            window = x[n, c][np.ix_(*taps)].astype(np.float64)
            where = (n, c, *at)
            if spec.kind == "max":
                first = np.unravel_index(np.argmax(window), window.shape)
                out[where] = window[first]
                spot = tuple(t[i] for t, i in zip(taps, first, strict=True))
                dx[(n, c, *spot)] += dout[where]
            else:
                divisor = np.prod([axis[i] for axis, i in zip(spec.counts, at, strict=True)])
                out[where] = window.sum() / divisor
                dx[n, c][np.ix_(*taps)] += dout[where] / divisor
    return out, dx


@pytest.mark.sampled(fast=20, usual=4)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data", ["ties", "distinct", "non-finite", "all -inf"])
@pytest.mark.parametrize("kind", ["max", "avg", "avg with padding", "max dilated"])
@pytest.mark.parametrize(
    ("x_shape", "keywords"), [pytest.param(*case, id=name) for name, case in POOLS.items()]
)
def test_every_pool_kernel(
    isa: str, x_shape: Any, keywords: dict[str, Any], kind: str, data: str, dtype: Any
) -> None:
    rng = np.random.default_rng(3)
    x = integers(rng, x_shape, dtype) - 5
    if data == "distinct":
        x = rng.permutation(x.size).reshape(x_shape).astype(dtype) - x.size
    elif data == "non-finite":
        x.flat[:: max(1, x.size // 9)] = np.nan
        x.flat[3 :: max(1, x.size // 7)] = np.inf
        x.flat[5 :: max(1, x.size // 8)] = -np.inf
    elif data == "all -inf":
        x[...] = -np.inf
    if kind == "avg with padding":
        keywords = {**keywords, "count_include_pad": True}
    if kind == "max dilated":
        keywords = {**keywords, "dilation": 2}
        if any(
            2 * (k - 1) + 1 > s
            for k, s in zip(
                np.broadcast_to(keywords["kernel"], len(x_shape) - 2), x_shape[2:], strict=True
            )
        ):
            keywords["dilation"] = 1
    spec = PoolSpec.of(x, kind=kind[:3], **keywords)
    dout = integers(rng, spec.out_shape, dtype)
    with np.errstate(invalid="ignore"):
        want_out, want_dx = pool_reference(spec, x, dout)
    for forward in listed(f"{kind[:3]}_pool_forward", spec):
        for backward in listed(f"{kind[:3]}_pool_backward", spec):
            plan = _kernels.PoolPlan(spec, forward, backward)
            out, dx = np.full(spec.out_shape, np.nan, dtype), np.full(x_shape, np.nan, dtype)
            arg = None
            if spec.kind == "max":
                arg = np.zeros(spec.out_shape, f"u{plan.arg_bytes}")
            plan.forward(x, out, arg)
            plan.backward(dout, arg, dx)
            if spec.kind == "max":
                np.testing.assert_array_equal(out, want_out)
                np.testing.assert_array_equal(dx, want_dx)
                plan.forward(x, out, None)
                np.testing.assert_array_equal(out, want_out)
            else:
                tolerance = 64 * np.finfo(dtype).eps
                np.testing.assert_allclose(out, want_out, tolerance, 0)
                np.testing.assert_allclose(dx, want_dx, tolerance, 9 * tolerance)
