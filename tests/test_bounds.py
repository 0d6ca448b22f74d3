"""The bounds hold for every order of summation, and the reports point at the right place."""

import numpy as np
import pytest

from convkit import bounds
from convkit.spec import ConvSpec, PoolSpec


def test_unit_roundoff_is_half_an_ulp_of_one() -> None:
    assert bounds.unit_roundoff("float32") == 2.0**-24
    assert bounds.unit_roundoff("float64") == 2.0**-53


def test_growth_is_the_worst_case_or_the_sharper_one_for_random_data() -> None:
    assert bounds.growth(3) == 5
    assert bounds.growth(10_000) == 10_002
    assert bounds.growth(10_000, random=True) == 408
    assert bounds.growth(3, random=True) == 5


@pytest.mark.parametrize("terms", [1, 10, 1000])
@pytest.mark.parametrize("order", [1, -1])
def test_a_float32_sum_stays_within_the_bound_in_any_order(terms: int, order: int) -> None:
    rng = np.random.default_rng(terms)
    a, b = rng.standard_normal((2, 200, terms)).astype(np.float32)
    total = np.zeros(200, np.float32)
    for j in range(terms)[::order]:
        total += a[:, j] * b[:, j]
    ref = (a.astype(np.float64) * b).sum(axis=1)
    S = np.abs(a.astype(np.float64) * b).sum(axis=1)
    for random in (False, True):
        assert (
            bounds.first_bad(total, ref, bounds.elementwise(S, terms, "float32", random=random))
            is None
        )
    lost = total - a[:, terms // 2] * b[:, terms // 2]
    assert bounds.first_bad(lost, ref, bounds.elementwise(S, terms, "float32")) is not None


def test_a_sum_in_half_precision_is_beyond_the_float32_bound() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 50, 20)).astype(np.float32)
    rounded = (a.astype(np.float16).astype(np.float64) * b).sum(axis=1).astype(np.float32)
    ref = (a.astype(np.float64) * b).sum(axis=1)
    S = np.abs(a.astype(np.float64) * b).sum(axis=1)
    assert bounds.first_bad(rounded, ref, bounds.elementwise(S, 20, "float32")) is not None


def test_normwise_takes_the_largest_finite_sum_times_the_factor() -> None:
    S = np.array([1.0, 4.0, np.inf])
    got = bounds.normwise(S, 2, "float64", factor=3)
    tiny = 3 * 3 * np.finfo("float64").tiny
    np.testing.assert_allclose(got, np.full(3, 3 * 4 * 2.0**-53 * 4 + tiny))


def test_subnormal_results_may_be_flushed() -> None:
    tiny = np.finfo(np.float32).tiny
    ref = np.array([tiny / 4], np.float64)
    assert (
        bounds.first_bad(np.zeros(1, np.float32), ref, bounds.elementwise(ref, 1, "float32"))
        is None
    )


def test_terms_of_every_result() -> None:
    spec = ConvSpec.of((2, 4, 9, 8), (6, 2, 3, 4), (6,), stride=(2, 3), groups=2, dtype="float32")
    assert spec.out_shape == (2, 6, 4, 2)
    assert bounds.terms(spec, "out") == 2 * 3 * 4 + 1
    assert bounds.terms(spec, "dx") == 3 * 2 * 2
    assert bounds.terms(spec, "dw") == bounds.terms(spec, "db") == 2 * 4 * 2
    pool = PoolSpec.of((2, 4, 9, 8), kind="avg", kernel=(3, 2), stride=(2, 2), dtype="float32")
    assert bounds.terms(pool, "out") == 6
    assert bounds.terms(pool, "dx") == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_must_stand_where_the_reference_has_them(value: float) -> None:
    ref = np.array([1.0, value, 3.0])
    assert bounds.first_bad(ref.copy(), ref, np.array([0.0, np.inf, 0.0])) is None
    assert bounds.first_bad(np.array([1.0, 2.0, 3.0]), ref, 1e9).index == (1,)  # type: ignore[union-attr]
    assert bounds.first_bad(np.array([value, value, 3.0]), ref, 1e9).index == (0,)  # type: ignore[union-attr]
    other = -value if np.isinf(value) else np.inf
    assert bounds.first_bad(np.array([1.0, other, 3.0]), ref, np.inf) is not None


def test_a_mismatch_prints_index_values_bound_count_and_place() -> None:
    ref = np.zeros((2, 3, 4, 5))
    got = ref.copy()
    got[1, 2, 3, 4] = 0.5
    bad = bounds.first_bad(got, ref, 0.25)
    assert bad is not None
    assert str(bad) == (
        "[1, 2, 3, 4] is 0.5, expected 0.0 within 0.25; 1 of 120 differ (only the last of 2 along "
        "the first axis; only the last of 3 along the second axis; only the last of 4 along the "
        "spatial axis 0; only the last of 5 along the spatial axis 1; a corner)"
    )


def _mask(shape: tuple[int, ...], *place: object) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[place] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (_mask((2, 3, 4, 5), ...), "every element"),
        (
            _mask((2, 8, 4, 5), slice(None), slice(5, 8)),
            "only the last 3 of 8 along the second axis",
        ),
        (_mask((2, 8, 4, 5), slice(None), 2), "only the number 2 of 8 along the second axis"),
        (
            _mask((1, 2, 9, 5), 0, slice(None), slice(1, None, 2)),
            "every 2th from 1 of 9 along the spatial axis 0",
        ),
    ],
)
def test_where_the_differences_lie(mask: np.ndarray, words: str) -> None:
    assert bounds.locate(mask) == words


def test_differences_at_the_edges_alone_are_called_so() -> None:
    mask = np.ones((2, 2, 5, 5), bool)
    mask[:, :, 1:-1, 1:-1] = False
    assert bounds.locate(mask) == "edges only"


def test_shapes_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"got.shape \(=\(2,\)\) must equal ref.shape \(=\(3,\)\)"):
        bounds.first_bad(np.zeros(2), np.zeros(3))
