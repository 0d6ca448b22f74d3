"""The fft backend gives the answers that every backend gives."""

import numpy as np

import convkit
from convkit.conformance import run


def test_it_is_the_one_that_runs():
    x, w = np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3))
    _, cache = convkit.conv_forward(x, w, backend="fft")
    assert cache.backend == "fft"


def test_it_conforms():
    report = run("fft", level="quick")
    assert report.ok, report.text("fft")
