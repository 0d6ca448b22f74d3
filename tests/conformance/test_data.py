"""The data of a case: of the kind asked for, in the case's dtype, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.conformance import cases, catalogue, checks, data
from convkit.conformance.entries import ENTRIES

CONV = "conv x=2,3,6,5 w=4,3,3,2 dtype={dtype} data={data} seed=1"


def conv(kind: str, dtype: str = "float32") -> cases.Case:
    return cases.parse(CONV.format(dtype=dtype, data=kind))


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("kind", ["exact", "real", "denormal", "nonfinite-nan-x"])
def test_inputs_have_the_shapes_and_dtype_of_the_case_and_are_read_only(
    kind: str, dtype: str
) -> None:
    case = conv(kind, dtype)
    given = data.inputs(case)
    assert {name: a.shape for name, a in given.given()} == case.shapes
    assert given.dout.shape == case.out_shape
    assert all(a.dtype == dtype and not a.flags.writeable for _, a in given.given())


def test_the_seed_decides_the_data() -> None:
    case = conv("real")
    again = data.inputs.__wrapped__(case)
    assert np.array_equal(again.x, data.inputs(case).x)
    other = cases.parse(str(case).replace("seed=1", "seed=2"))
    assert not np.array_equal(again.x, data.inputs(other).x)


@pytest.mark.parametrize(
    ("kind", "test"), [("nan", np.isnan), ("inf", np.isposinf), ("ninf", np.isneginf)]
)
@pytest.mark.parametrize("where", ["x", "dout"])
def test_a_single_value_is_not_finite(kind: str, test: np.ufunc, where: str) -> None:
    given = data.inputs(conv(f"nonfinite-{kind}-{where}"))
    found = {"x": given.x, "dout": given.dout}
    assert test(found.pop(where)).sum() == 1
    assert all(np.isfinite(a).all() for a in found.values())


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("op", ENTRIES)
def test_exact_data_sum_exactly_in_any_order(op: str, dtype: str) -> None:
    limit = 2.0**24 if dtype == "float32" else 2.0**53
    for case in checks.with_data(catalogue.geometries(op, "quick", 0), "exact"):
        if case.dtype == dtype and op != "avg_pool":
            for name, want in data.expected(case).items():
                assert want.S.max(initial=0) <= limit, (str(case), name)


def test_float64_data_need_more_than_float32() -> None:
    case = next(c for c in checks.with_data(catalogue.structured("conv", "quick"), "exact"))
    wide = cases.parse(str(case).replace("float32", "float64"))
    out = data.expected(wide)["out"].ref
    assert (out != out.astype(np.float32)).any()
