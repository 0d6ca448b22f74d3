"""dw of conv - relu - max pool, summed from the pooled gradient, against the convolution's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from listed_kernels import DTYPES, listed

from convkit.spec import ConvSpec, PoolSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")


class Case(NamedTuple):
    """A problem: shapes, and the keywords of the convolution and of the pooling."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    conv: dict[str, Any]
    pool: dict[str, Any]


# Rows of the kernel times channels around 3, 12 and 24, which is how many sums registers hold;
# kernel widths around a vector of 4 and 8; bands, which the strip's size cuts; overlapping windows.
CASES = {
    "course": Case((5, 3, 16, 15), (4, 3, 7, 7), {"pad": 3}, {"kernel": 2}),
    "one pixel": Case((1, 1, 1, 1), (1, 1, 1, 1), {}, {"kernel": 1}),
    "one image": Case((1, 2, 6, 7), (9, 2, 3, 2), {"pad": 1}, {"kernel": 2}),
    "no image": Case((0, 2, 6, 7), (3, 2, 3, 2), {"pad": 1}, {"kernel": 2}),
    "nine images": Case((9, 1, 5, 6), (2, 1, 2, 3), {}, {"kernel": (2, 1)}),
    "12 runs": Case((3, 4, 9, 8), (5, 4, 3, 4), {"pad": ((2, 0), (1, 3))}, {"kernel": 2}),
    "13 runs": Case((3, 13, 5, 9), (2, 13, 1, 5), {}, {"kernel": 3, "stride": 1}),
    "24 runs": Case((2, 8, 9, 8), (3, 8, 3, 3), {"pad": 1}, {"kernel": 2}),
    "25 runs": Case((2, 5, 11, 12), (3, 5, 5, 8), {"pad": 2}, {"kernel": 2}),
    "49 runs": Case((2, 7, 11, 23), (3, 7, 7, 9), {"pad": (3, 4)}, {"kernel": 3, "stride": 2}),
    "two pieces": Case((2, 1, 4, 30), (2, 1, 2, 17), {}, {"kernel": (1, 2)}),
    "strides": Case((3, 3, 17, 19), (4, 3, 5, 4), {"stride": (2, 3), "pad": 1}, {"kernel": 2}),
    "padded pool": Case((3, 2, 9, 8), (4, 2, 5, 5), {"pad": 2},
                        {"kernel": (3, 4), "stride": (2, 3), "pad": ((1, 0), (2, 1))}),
    "dilated pool": Case((2, 2, 12, 13), (4, 2, 3, 3), {}, {"kernel": 2, "dilation": (3, 2)}),
    "ceil_mode": Case((2, 2, 8, 9), (4, 2, 4, 4), {}, {"kernel": 2, "ceil_mode": True}),
    "pool stride above its kernel": Case((2, 2, 13, 14), (3, 2, 3, 3), {},
                                         {"kernel": 2, "stride": (3, 4)}),
    "groups": Case((4, 6, 9, 10), (9, 2, 4, 5), {"groups": 3, "pad": 2}, {"kernel": 2}),
    "depthwise": Case((4, 5, 9, 10), (5, 1, 3, 3), {"groups": 5}, {"kernel": 2}),
    "bands": Case((2, 20, 90, 61), (3, 20, 5, 5), {"pad": 2}, {"kernel": 3, "stride": 2, "pad": 1}),
    "places in two bytes": Case((2, 1, 40, 41), (2, 1, 5, 5), {},
                                {"kernel": (17, 16), "stride": 9}),
    "signals": Case((5, 4, 70), (6, 4, 9), {"pad": 4, "stride": 2}, {"kernel": 3, "stride": 2}),
}  # fmt: skip


class Problem:
    """A case with its data, and what both ways make of it."""

    def __init__(self, case: Case, dtype: Any, integers: bool = True) -> None:
        rng = np.random.default_rng(len(case.x) + sum(case.w))
        self.conv = ConvSpec.of(case.x, case.w, case.w[:1], dtype=dtype, **case.conv)
        self.pool = PoolSpec.of(self.conv.out_shape, kind="max", dtype=dtype, **case.pool)

        def data(shape: tuple[int, ...]) -> Any:
            values = rng.integers(-3, 4, shape) if integers else rng.standard_normal(shape)
            return values.astype(dtype)

        self.x, self.w, self.b = data(case.x), data(case.w), data(case.w[:1])
        self.dout = data(self.pool.out_shape)
        self.backend = convkit_cython.convkit_backend()
        _, self.arg = self.backend.conv_relu_pool_forward(
            self.conv, self.pool, self.x, self.w, self.b
        )

    @property
    def args(self) -> tuple[Any, ...]:
        return self.conv, self.pool, self.dout, self.x, self.w, self.arg

    def unpooled(self) -> tuple[np.ndarray, np.ndarray]:
        return self.backend._unpooled(*self.args, ("dw", "db"))[1:]

    def pooled(self) -> tuple[np.ndarray, np.ndarray] | None:
        dw, db = np.full_like(self.w, 77), np.full_like(self.b, 77)
        plans = self.backend.plan(self.conv), self.backend.plan(self.pool)
        if _kernels.pooled_gradients(*plans, self.dout, self.arg, self.x, dw, db):
            return dw, db
        assert (dw == 77).all()
        assert (db == 77).all()
        return None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(CASES))
def test_it_is_exact_on_integers(isa: str, name: str, dtype: Any) -> None:
    problem = Problem(CASES[name], dtype)
    got, want = problem.pooled(), problem.unpooled()
    assert got is not None
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])
    assert want[0].any() == (problem.x.size > 1)  # the one pixel is cut off


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_db(isa: str, dtype: Any) -> None:
    problem = Problem(CASES["course"], dtype)
    dw = np.empty_like(problem.w)
    plans = problem.backend.plan(problem.conv), problem.backend.plan(problem.pool)
    assert _kernels.pooled_gradients(*plans, problem.dout, problem.arg, problem.x, dw, None)
    np.testing.assert_array_equal(dw, problem.unpooled()[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "a live gradient", "a dead gradient"])
def test_what_is_not_finite_goes_the_other_way(
    isa: str, where: str, bad: float, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem(CASES["course"], dtype)
    live = problem.arg < 4
    assert live.any()
    assert not live.all()
    if where == "x":
        problem.x[3, 1, 15, 14] = bad
    else:
        index = tuple(i[-1] for i in np.nonzero(live if "live" in where else ~live))
        problem.dout[index] = bad
    assert (problem.pooled() is None) == (where != "a dead gradient")
    monkeypatch.setattr(convkit_cython, "_pooled_dw_kernel", lambda *specs: "pooled")
    needs = ("dx", "dw", "db")
    got = problem.backend.conv_relu_pool_backward(*problem.args, needs)
    want = problem.backend._unpooled(*problem.args, needs)
    for mine, theirs in zip(got, want, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    monkeypatch.undo()
    # Nor does what it left in scratch memory matter to the next call.
    clean = Problem(CASES["course"], dtype)
    got_clean = clean.pooled()
    assert got_clean is not None
    np.testing.assert_array_equal(got_clean[0], clean.unpooled()[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_pixel_that_only_left_over_results_see_goes_the_other_way(
    isa: str, bad: float, dtype: Any
) -> None:
    """Their gradient is 0, and 0 times it is NaN."""
    problem = Problem(Case((2, 3, 13, 13), (2, 3, 7, 7), {}, {"kernel": 2}), dtype)
    assert problem.pool.out_shape[2:] == (3, 3)  # of 7x7: the last row and column are left over
    assert problem.pooled() is not None
    problem.x[1, 2, 12, 0] = bad
    assert problem.pooled() is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_the_number_of_threads(isa: str, dtype: Any) -> None:
    case = Case((21, 3, 40, 40), (16, 3, 7, 7), {"pad": 3}, {"kernel": 2})
    problem = Problem(case, dtype, integers=False)
    before = _kernels.num_threads()
    try:
        found = []
        for threads in (1, 2, 3, 2, 1):
            problem.backend.set_num_threads(threads)
            found.append(problem.pooled())
    finally:
        _kernels.set_num_threads(before)
    for dw, db in found[1:]:
        np.testing.assert_array_equal(dw, found[0][0])
        np.testing.assert_array_equal(db, found[0][1])
    want = problem.unpooled()
    np.testing.assert_allclose(found[0][0], want[0], rtol=0, atol=2e-4 * np.abs(want[0]).max())


@pytest.mark.parametrize(
    ("case", "chosen"),
    [
        (Case((200, 3, 32, 32), (32, 3, 7, 7), {"pad": 3}, {"kernel": 2}), True),
        (Case((8, 64, 56, 56), (64, 64, 3, 3), {"pad": 1}, {"kernel": 2}), False),  # narrow
        (Case((8, 3, 32, 32), (32, 3, 7, 7), {"pad": 3}, {"kernel": 2, "stride": 1}), False),
        (Case((8, 3, 32, 32), (32, 3, 7, 7), {"dilation": 2}, {"kernel": 2}), False),
        (Case((8, 512, 16, 16), (512, 512, 7, 7), {"pad": 3}, {"kernel": 2}), False),  # large
        (Case((0, 3, 32, 32), (32, 3, 7, 7), {"pad": 3}, {"kernel": 2}), False),
        (Case((8, 3, 9, 9, 9), (4, 3, 7, 7, 7), {"pad": 3}, {"kernel": 2}), False),
    ],
)
def test_it_is_chosen_where_it_pays(case: Case, chosen: bool) -> None:
    conv = ConvSpec.of(case.x, case.w, dtype=np.float32, **case.conv)
    pool = PoolSpec.of(conv.out_shape, kind="max", dtype=np.float32, **case.pool)
    assert listed("conv_relu_pool_dw", (conv, pool))[0] == ("pooled" if chosen else "unpooled")


@pytest.mark.parametrize("needs", [("dw",), ("db",), ("dx", "dw"), ("dw", "db"), ("dx",)])
def test_each_gradient_is_had_alone(needs: tuple[str, ...]) -> None:
    problem = Problem(CASES["course"], np.float64)
    assert listed("conv_relu_pool_dw", (problem.conv, problem.pool))[0] == "pooled"
    got = problem.backend.conv_relu_pool_backward(*problem.args, needs)
    want = problem.backend._unpooled(*problem.args, ("dx", "dw", "db"))
    for name, mine, theirs in zip(("dx", "dw", "db"), got, want, strict=True):
        if name in needs:
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine is None
