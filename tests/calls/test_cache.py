"""A cache belongs to one operation and one backend, and says so where it is misused."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import registry
from convkit.calls.cache import Cache

X = np.arange(96.0).reshape(2, 3, 4, 4)
W = np.ones((2, 3, 3, 3))


def test_it_carries_backend_version_and_operation():
    _, cache = convkit.conv_forward(X, W, backend="naive")
    assert (cache.backend, cache.version, cache.operation) == (
        "naive",
        convkit.__version__,
        "conv",
    )


def test_backward_goes_home_whatever_is_selected(monkeypatch):
    calls = []
    backend = registry.load("naive").backend
    real = backend.pool_backward
    monkeypatch.setattr(
        type(backend), "pool_backward", lambda self, *a: calls.append(1) or real(*a)
    )
    _, cache = convkit.max_pool_forward(X, kernel=2, stride=1, backend="naive")
    with convkit.use_backend("im2col_numpy"):
        convkit.max_pool_backward(np.ones((2, 3, 3, 3)), cache)
    assert calls


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, r"cache \(=NoneType\) must be a convkit cache"),
        (Cache(), r"cache \(=<convkit cache of no call>\) must be a convkit cache"),
        ((1, 2), r"cache \(a tuple of 2\) must be a convkit cache, .*unpack it: out, cache ="),
        (X, r"cache \(=ndarray\) must be"),
    ],
)
def test_what_is_no_cache_is_told_so(wrong, message):
    with pytest.raises(convkit.CacheError, match=message):
        convkit.conv_backward(X, wrong)


def test_a_cache_of_another_operation_says_which_to_call():
    out, cache = convkit.avg_pool_forward(X, kernel=2)
    with pytest.raises(convkit.CacheError, match="call avg_pool_backward"):
        convkit.max_pool_backward(out, cache)


def test_a_stale_cache_says_so():
    out, cache = convkit.conv_forward(X, W)
    convkit.reload()
    with pytest.raises(convkit.CacheError, match="was reloaded after the forward call"):
        convkit.conv_backward(out, cache)
    own = registry.load("naive").backend
    out, cache = convkit.conv_forward(X, W, backend=own)
    convkit.reload()
    convkit.conv_backward(out, cache)  # nothing reloads an object that was handed in
