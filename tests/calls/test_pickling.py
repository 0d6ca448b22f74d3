"""Caches in another process: the same backend of the same version, or an error."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

import convkit
from convkit import registry

X = np.arange(96.0).reshape(2, 3, 4, 4)
W = np.ones((2, 3, 3, 3))


@pytest.mark.parametrize("operation", ["conv", "max_pool", "avg_pool", "conv_relu_pool"])
def test_it_pickles_into_another_process(backend, operation):
    if operation == "conv":
        out, cache = convkit.conv_forward(X, W, backend=backend)
    elif operation == "conv_relu_pool":
        out, cache = convkit.conv_relu_pool_forward(X, W, None, {}, {"kernel": 2}, backend=backend)
    else:
        out, cache = getattr(convkit, f"{operation}_forward")(X, kernel=2, backend=backend)
    backward = getattr(convkit, f"{operation}_backward")
    code = (
        "import sys, pickle, convkit; out, cache = pickle.load(sys.stdin.buffer);"
        f"sys.stdout.buffer.write(pickle.dumps(convkit.{operation}_backward(out, cache)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((out, cache)),
        capture_output=True,
        check=True,
    )
    np.testing.assert_equal(pickle.loads(done.stdout), backward(out, cache))


class Secretive(type(registry.load("im2col_numpy").backend)):
    """Saves what does not pickle."""

    name = "secretive"

    def pool_forward(self, spec, x):
        return super().pool_forward(spec, x)[0], lambda: None


def test_what_does_not_pickle_says_so():
    _, cache = convkit.max_pool_forward(X, kernel=2, backend=Secretive())
    with pytest.raises(convkit.CacheError, match=r"what backend 'secretive' saved .* not pickle"):
        pickle.dumps(cache)


def test_another_version_is_refused(monkeypatch):
    _, cache = convkit.conv_forward(X, W, backend="naive")
    stored = pickle.dumps(cache)
    monkeypatch.setattr(registry.load("naive"), "version", "9")
    with pytest.raises(convkit.CacheError, match=r"version '0\.1\.0', but this process has '9'"):
        pickle.loads(stored)
