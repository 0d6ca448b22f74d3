"""Normalisation and pool by one compiled kernel: as by one kernel after the other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from listed_kernels import DTYPES, listed

import convkit
from convkit.spec import NormSpec, PoolSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")

#: x shape and the pool's kernel.
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "2x2": ((3, 4, 8, 12), (2, 2)),
    "odd rows and columns": ((2, 3, 7, 9), (2, 2)),
    "one row of windows": ((5, 3, 2, 33), (2, 2)),
    "parts of a plane": ((2, 2, 70, 130), (2, 2)),
    "parts, the last without windows": ((2, 2, 33, 700), (4, 2)),
    "tall windows": ((2, 3, 20, 6), (5, 2)),
    "rows longer than a part": ((2, 2, 5, 3001), (2, 2)),
    "1-D": ((4, 5, 37), (2,)),
    "many planes": ((17, 33, 6, 6), (2, 2)),
    "few pixels": ((3, 4, 2, 2), (2, 2)),
    "empty batch": ((0, 3, 8, 8), (2, 2)),
}
ENDS = list(itertools.product([False, True], [False, True]))
GRADIENTS = ("dx", "dgamma", "dbeta", "dresidual")


class Problem:
    """Specs, plans and data."""

    def __init__(self, name: str, dtype: Any, relu: bool, residual: bool, training: bool) -> None:
        shape, kernel = CASES[name]
        c = shape[1:2]
        more = () if training else (c, c)
        self.norm = NormSpec.of(
            shape, c, c, *more, residual=shape if residual else None, kind="batch", relu=relu,
            training=training, dtype=dtype,
        )  # fmt: skip
        self.pool = PoolSpec.of(shape, kind="max", kernel=kernel, dtype=dtype)
        rng = np.random.default_rng(5)
        x, added, dout = (
            rng.standard_normal(s).astype(dtype) for s in (shape, shape, self.pool.out_shape)
        )
        self.x, self.dout, self.residual = 2 * x + 1, dout, added if residual else None
        self.gamma, self.beta = (rng.standard_normal(c).astype(dtype) for _ in range(2))
        self.plans = (
            _kernels.NormPlan(self.norm, "rows"),
            _kernels.PoolPlan(self.pool, "disjoint", "disjoint"),
        )

    def statistics(self) -> np.ndarray:
        found = np.full(self.plans[0].statistics_shape, np.nan)
        if not self.norm.training:
            found[0], found[1] = 0.5, 2.0
        return found

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, np.nan, self.norm.dtype)

    def gradients(self) -> list[np.ndarray | None]:
        like = (self.x, self.gamma, self.beta, self.x if self.norm.has_residual else None)
        return [None if a is None else self.empty(a.shape) for a in like]

    def one_pass(self) -> tuple[Any, ...]:
        statistics, out = self.statistics(), self.empty(self.pool.out_shape)
        arg = np.full(self.pool.out_shape, 254, np.uint8)
        arrays = (self.x, self.gamma, self.beta, self.residual)
        _kernels.norm_pool_forward(*self.plans, *arrays, statistics, out, arg)
        found = self.gradients()
        _kernels.norm_pool_backward(
            *self.plans, self.dout, arg, self.x, self.gamma, statistics, *found
        )
        inferred = self.empty(self.pool.out_shape)
        _kernels.norm_pool_forward(*self.plans, *arrays, self.statistics(), inferred, None)
        np.testing.assert_array_equal(inferred, out)
        return out, arg, statistics, *found

    def in_turn(self) -> tuple[Any, ...]:
        norm, pool = self.plans
        statistics, y = self.statistics(), self.empty(self.norm.x_shape)
        positive = np.zeros(norm.positive_bytes, np.uint8) if self.norm.relu else None
        norm.forward(self.x, self.gamma, self.beta, self.residual, statistics, positive, y)
        out, arg = self.empty(self.pool.out_shape), np.zeros(self.pool.out_shape, np.uint8)
        pool.forward(y, out, arg)
        if self.norm.relu:
            arg[~(out > 0)] = 255
        dy, found = self.empty(self.norm.x_shape), self.gradients()
        pool.backward(self.dout, arg, dy)
        norm.backward(dy, self.x, self.gamma, statistics, positive, *found)
        return out, arg, statistics, *found


@pytest.mark.sampled(usual=4)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("relu", "residual"), ENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_it_is_as_one_after_the_other(
    isa: str, name: str, dtype: Any, relu: bool, residual: bool, training: bool
) -> None:
    if training and not CASES[name][0][0]:
        pytest.skip("there is no training without an image")
    problem = Problem(name, dtype, relu, residual, training)
    assert "rows" in listed("norm_pool_forward", (problem.norm, problem.pool))
    eps = float(np.finfo(dtype).eps)
    pairs = zip(
        ("out", "arg", "statistics", *GRADIENTS), problem.one_pass(), problem.in_turn(), strict=True
    )
    for what, found, wanted in pairs:
        if wanted is None:
            assert found is None
        elif what == "arg":
            np.testing.assert_array_equal(found, wanted)
        else:
            scale = 1 + np.abs(wanted).max(initial=0)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=60 * eps * scale, err_msg=what)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_the_number_of_threads(isa: str, dtype: Any) -> None:
    results = []
    before = _kernels.num_threads()
    try:
        for threads in (1, 2, 3):
            _kernels.set_num_threads(threads)
            results.append(Problem("parts of a plane", dtype, True, True, True).one_pass())
    finally:
        _kernels.set_num_threads(before)
    for other in results[1:]:
        for found, wanted in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_nothing_as_large_as_the_normalised_array_is_kept() -> None:
    """Of a pooled problem z, a byte for each result and the statistics are saved."""
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 3, 16, 16)), rng.standard_normal((4, 3, 3, 3))
    one = np.ones(4)
    given = (x, w, None, one, one, {"pad": 1}, {}, {"kernel": 2})
    out, cache = convkit.conv_bn_relu_forward(*given, backend="cython")
    kept = [a for a in cache.saved if isinstance(a, np.ndarray)]
    assert [a.nbytes for a in kept] == [out.nbytes * 4, 3 * 4 * 8, out.size]


@pytest.mark.parametrize(
    ("kernel", "pool", "chosen"),
    [
        ((64, 32, 32), {"kernel": 2}, "rows"),
        ((64, 2, 2), {"kernel": 2}, "composed"),
        ((64, 32, 32), {"kernel": 3, "stride": 2}, "composed"),
        ((64, 33, 33), {"kernel": 2, "ceil_mode": True}, "composed"),
        ((4, 8, 8, 8), {"kernel": 2}, "composed"),
    ],
)
def test_it_is_chosen_for_disjoint_windows_of_large_planes(
    kernel: tuple[int, ...], pool: dict[str, Any], chosen: str
) -> None:
    shape, c = (8, *kernel), kernel[:1]
    norm = NormSpec.of(shape, c, c, kind="batch", relu=True, dtype=np.float32)
    spec = PoolSpec.of(shape, kind="max", dtype=np.float32, **pool)
    assert listed("norm_pool_forward", (norm, spec))[0] == chosen
