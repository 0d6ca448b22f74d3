"""Random images, and the message of a DataError, for the tests of data sets."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import DataError

PARTS = ("train", "val", "test")


def images(n, *shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(dtype)


def error_of(function, *arguments):
    with pytest.raises(DataError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message
