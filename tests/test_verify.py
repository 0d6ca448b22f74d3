"""Verification raises at the first wrong element, of every result, and never at a right one."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import convkit
from convkit import registry

RESULTS = ("out", "dx", "dw", "db", "pool out", "pool dx")


def planted(result, size=1e-2):
    """A backend that is right but for the last element of one result."""
    real = registry.load("im2col_numpy").backend

    def spoil(name, array):
        if name == result and array is not None:
            array.flat[-1] += size
        return array

    class Planted:
        name = "planted"
        api_version = 1

        def supports(self, spec):
            return None

        def conv_forward(self, spec, x, w, b):
            out, saved = real.conv_forward(spec, x, w, b)
            return spoil("out", out), saved

        def conv_backward(self, spec, dout, x, w, saved, needs):
            found = real.conv_backward(spec, dout, x, w, saved, needs)
            return tuple(map(spoil, ("dx", "dw", "db"), found))

        def pool_forward(self, spec, x):
            out, saved = real.pool_forward(spec, x)
            return spoil("pool out", out), saved

        def pool_backward(self, spec, dout, saved):
            return spoil("pool dx", real.pool_backward(spec, dout, saved))

    return Planted()


def every_call(rng, backend, dtype, scale=1.0):
    def data(*shape):
        return (scale * rng.standard_normal(shape)).astype(dtype)

    x, w, b = data(2, 4, 7, 6), data(6, 2, 3, 2), data(6)
    out, cache = convkit.conv_forward(x, w, b, stride=(2, 1), pad=1, groups=2, backend=backend)
    convkit.conv_backward(data(*out.shape), cache)
    convkit.conv_backward(data(*out.shape), cache, needs=("dw",))
    convkit.conv(x, w, groups=2, backend=backend)
    for kernel, stride in ((2, 2), (3, 1)):
        for kind in ("max", "avg"):
            forward = getattr(convkit, f"{kind}_pool_forward")
            out, cache = forward(x, kernel=kernel, stride=stride, pad=1, backend=backend)
            getattr(convkit, f"{kind}_pool_backward")(data(*out.shape), cache)
    for each in (x, np.round(x), np.zeros_like(x)):  # the latter two are full of ties
        out, cache = convkit.conv_relu_pool_forward(
            each, w, b, {"pad": 1, "groups": 2}, {"kernel": 2, "stride": 1}, backend=backend
        )
        convkit.conv_relu_pool_backward(data(*out.shape), cache)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("reference", ["naive", "im2col_numpy"])
def test_what_is_right_passes(rng, backend, reference, dtype):
    with convkit.verify_with(reference):
        every_call(rng, backend, dtype)
        every_call(rng, backend, dtype, scale=1e-30 if dtype == "f4" else 1e-200)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_wrong_is_found(rng, result, dtype):
    with pytest.raises(convkit.VerifyError, match="expected"), convkit.verify_with("im2col_numpy"):
        every_call(rng, planted(result), dtype)


def test_float64_is_held_to_float64(rng):
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        every_call(rng, planted("out", 1e-9), "f8")


def test_max_pooling_is_compared_with_equality():
    x = np.ones((1, 1, 4, 4))
    tiny = np.finfo(float).eps
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        convkit.max_pool(x, kernel=2, backend=planted("pool out", tiny))


def test_the_message_has_index_values_and_a_line_that_reproduces_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    real = registry.load("naive").backend
    monkeypatch.setattr(
        type(real),
        "pool_forward",
        lambda self, spec, x: (np.full(spec.out_shape, 2.0), None),
    )
    with pytest.raises(convkit.VerifyError) as caught, convkit.verify_with("im2col_numpy"):
        convkit.max_pool_forward(np.ones((1, 2, 4, 4)), kernel=2, backend="naive")
    text = str(caught.value)
    assert "out[0, 0, 0, 0] is 2.0, expected 1.0 within 0" in text
    assert "by backend 'im2col_numpy'" in text
    line = text.rsplit("reproduce with: ")[1]
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert "verified: no element" in done.stdout, done.stderr  # that process has a sound backend
    from convkit.verify import replay

    (stored,) = tmp_path.glob("*.npz")
    with pytest.raises(convkit.VerifyError):
        replay(str(stored))


def test_the_variable_verifies_every_call(monkeypatch, rng):
    monkeypatch.setenv("CONVKIT_VERIFY", "naive")
    convkit.reload()
    try:
        with pytest.raises(convkit.VerifyError):
            every_call(rng, planted("dw"), "f4")
        monkeypatch.setenv("CONVKIT_VERIFY", "navie")
        convkit.reload()
        with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'"):
            convkit.max_pool(np.ones((1, 1, 2, 2)), kernel=2)
    finally:
        monkeypatch.undo()
        convkit.reload()


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


def test_not_a_number_and_infinity_are_no_false_alarm(backend):
    x = np.ones((1, 1, 6, 6), "f4")
    x[0, 0, 0, 0], x[0, 0, 5, 5] = np.nan, np.inf
    with convkit.verify_with("naive"):
        convkit.conv(x, np.ones((1, 1, 3, 3), "f4"), backend=backend)
        convkit.max_pool(x, kernel=2, backend=backend)
        convkit.avg_pool(x, kernel=2, backend=backend)


def test_a_reference_is_one_backend():
    with pytest.raises(convkit.ParameterError, match="must name one backend"):
        convkit.verify_with("naive,cython")
    with pytest.raises(convkit.BackendNotFoundError), convkit.verify_with("nowhere"):
        pass


def fused(backend, x, w):
    out, cache = convkit.conv_relu_pool_forward(x, w, None, {}, {"kernel": 2}, backend=backend)
    convkit.conv_relu_pool_backward(np.ones_like(out), cache)


def test_the_gradient_of_a_maximum_is_compared_with_equality():
    with convkit.verify_with("naive"):
        out, cache = convkit.max_pool_forward(
            np.ones((1, 1, 4, 4)), kernel=2, backend=planted("pool dx", 1e-16)
        )
        with pytest.raises(convkit.VerifyError):
            convkit.max_pool_backward(out, cache)


def test_a_wrong_gradient_of_the_fused_operation_is_found(rng):
    x, w = rng.standard_normal((1, 2, 8, 8)), rng.standard_normal((3, 2, 3, 3))
    with convkit.verify_with("naive"):
        fused("naive", x, w)
        with pytest.raises(convkit.VerifyError, match="dx"):
            fused(planted("dx", 1e-6), x, w)


def test_a_maximum_that_rounding_decides_is_no_false_alarm():
    x, w = np.ones((1, 1, 3, 3), "f4"), np.ones((1, 1, 2, 2), "f4")
    with convkit.verify_with("naive"):  # all elements are 4; the last one is a little larger
        fused(planted("out", 1e-6), x, w)
