"""Verification raises at the first wrong element of every result, and never at a right one."""

from __future__ import annotations

import pytest
from planted_backend import every_call, planted

import convkit

RESULTS = ("out", "dx", "dw", "db", "pool out", "pool dx")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("reference", ["naive", "im2col_numpy", "cython"])
def test_what_is_right_passes(rng, backend, reference, dtype):
    with convkit.verify_with(reference):
        every_call(rng, backend, dtype)
        every_call(rng, backend, dtype, scale=1e-30 if dtype == "f4" else 1e-200)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_wrong_is_found(rng, result, dtype):
    with pytest.raises(convkit.VerifyError, match="expected"), convkit.verify_with("im2col_numpy"):
        every_call(rng, planted(result), dtype)


def test_caches_made_before_and_after(rng):
    x = rng.standard_normal((1, 2, 4, 4))
    with convkit.verify_with("naive"):
        out, cache = convkit.max_pool_forward(x, kernel=2)
    convkit.max_pool_backward(out, cache)
    with convkit.verify_with("naive"):
        convkit.max_pool_backward(out, cache)
    out, cache = convkit.max_pool_forward(x, kernel=2)
    with (
        convkit.verify_with("naive"),
        pytest.raises(convkit.CacheError, match="made while verification was off"),
    ):
        convkit.max_pool_backward(out, cache)
    out, cache = convkit.avg_pool_forward(x, kernel=2)
    with convkit.verify_with("naive"):
        convkit.avg_pool_backward(out, cache)
