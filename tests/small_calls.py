"""Small calls of every operation, and which backend computed them."""

from __future__ import annotations

import numpy as np

import convkit

X = np.ones((2, 4, 6, 6), "f4")
W = np.ones((3, 4, 3, 3), "f4")


def who(**keywords):
    """The backend that computes a convolution."""
    return convkit.conv_forward(X, W, **keywords)[1].backend


def pool(**keywords):
    """The backend that computes a max pooling."""
    return convkit.max_pool_forward(X, kernel=2, **keywords)[1].backend


def variable(monkeypatch, text):
    """Set CONVKIT_BACKEND, and have it read again."""
    monkeypatch.setenv("CONVKIT_BACKEND", text)
    convkit.reload()


def forward(operation, backend):
    """One forward call of an operation."""
    if operation == "conv":
        return convkit.conv_forward(X, W, backend=backend)
    if operation == "conv_relu_pool":
        return convkit.conv_relu_pool_forward(X, W, None, {}, {"kernel": 2}, backend=backend)
    return getattr(convkit, f"{operation}_forward")(X, kernel=2, backend=backend)


def infer(operation, backend):
    """One call without a cache."""
    if operation == "conv":
        return convkit.conv(X, W, backend=backend)
    return getattr(convkit, operation)(X, kernel=2, backend=backend)


def there_and_back(operation, backend):
    """One forward call of an operation and its backward call."""
    out, cache = forward(operation, backend)
    return getattr(convkit, f"{operation}_backward")(out, cache)
