"""A convolution with norm, relu and pool in one call: what its parts give, on every backend."""

from __future__ import annotations

import itertools
import pickle
import re

import numpy as np
import pytest

import convkit
from convkit import ParameterError, ShapeError, gradcheck
from convkit.calls.norms import Norm
from convkit.replay import replay

GEOMETRY = {"stride": (2, 1), "pad": ((1, 0), (0, 2)), "groups": 2}
POOL = {"kernel": 2, "stride": 2}
OUT = (3, 6, 4, 7)
ENDS = list(itertools.product([False, True], [False, True], [None, POOL]))
"""relu, residual, pool_param"""
RUNNING = ("running_mean", "running_var")


def arrays(rng, dtype="float64", bias=True):
    shapes = ((3, 4, 8, 6), (6, 2, 3, 2), (6,), (6,), (6,))
    x, w, b, gamma, beta = (rng.normal(size=s).astype(dtype) for s in shapes)
    return x, w, b if bias else None, gamma, beta


def statistics(rng, dtype="float64"):
    values = rng.normal(size=6), rng.random(6) + 0.5
    return {name: value.astype(dtype) for name, value in zip(RUNNING, values, strict=True)}


class Parts:
    """The operation by the functions of its parts."""

    def __init__(self, given, bn_param, pool, relu, residual, backend):
        x, w, b, gamma, beta = given
        self.z, self.conv = convkit.conv_forward(x, w, b, GEOMETRY, backend=backend)
        self.out, self.norm = convkit.batch_norm_forward(
            self.z, gamma, beta, bn_param, relu=relu, residual=residual, backend=backend
        )
        self.pool = None
        if pool is not None:
            self.out, self.pool = convkit.max_pool_forward(self.out, pool, backend=backend)

    def gradients(self, dout):
        dout = dout if self.pool is None else convkit.max_pool_backward(dout, self.pool)
        dz, *others = convkit.batch_norm_backward(dout, self.norm)
        return *convkit.conv_backward(dz, self.conv), *others


def close(found, wanted, dtype):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == dtype
            scale = np.abs(other).max() + 1
            np.testing.assert_allclose(one, other, rtol=0, atol=300 * scale * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize(("relu", "with_residual", "pool"), ENDS)
def test_it_is_its_parts(rng, backend, relu, with_residual, pool, mode, dtype):
    given = arrays(rng, dtype)
    residual = rng.normal(size=OUT).astype(dtype) if with_residual else None
    first = {"mode": mode, "momentum": 0.75, **statistics(rng, dtype)}
    mine, theirs = dict(first), dict(first)
    parts = Parts(given, theirs, pool, relu, residual, backend)
    out, cache = convkit.conv_bn_relu_forward(
        *given, GEOMETRY, mine, pool, relu=relu, residual=residual, backend=backend
    )
    close([out], [parts.out], dtype)
    close([mine[name] for name in RUNNING], [theirs[name] for name in RUNNING], dtype)
    assert (mine["running_mean"] is first["running_mean"]) == (mode == "test")
    dout = rng.normal(size=out.shape).astype(dtype)
    kept = out.copy()
    out[...] = -1  # what is saved is no view of the result
    close(convkit.conv_bn_relu_backward(dout, cache), parts.gradients(dout), dtype)
    if mode == "test":
        found = convkit.conv_bn_relu(
            *given, GEOMETRY, first, pool, relu=relu, residual=residual, backend=backend
        )
        close([found], [kept], dtype)


def test_relu_is_the_default_and_may_stand_in_the_dictionary(rng):
    given = arrays(rng)
    out, _ = convkit.conv_bn_relu_forward(*given, GEOMETRY, {})
    plain, _ = convkit.conv_bn_relu_forward(*given, GEOMETRY, {"relu": False})
    assert plain.min() < 0
    np.testing.assert_array_equal(out, np.maximum(plain, 0))
    message = "relu (=True) and bn_param['relu'] (=False) disagree; give one of them"
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        convkit.conv_bn_relu_forward(*given, GEOMETRY, {"relu": False}, relu=True)


@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize(("relu", "with_residual", "pool"), ENDS)
def test_gradients_are_the_numerical_ones(rng, relu, with_residual, pool, mode):
    given = list(arrays(rng))
    residual = rng.normal(size=OUT)
    named = {"mode": mode, **statistics(rng)}

    def forward():
        more = residual if with_residual else None
        return convkit.conv_bn_relu_forward(
            *given, GEOMETRY, dict(named), pool, relu=relu, residual=more
        )

    out, cache = forward()
    dout = rng.normal(size=out.shape)
    found = convkit.conv_bn_relu_backward(dout, cache)
    varied = [*given, residual] if with_residual else given
    for array, gradient in zip(varied, found, strict=True):
        report = gradcheck.gradcheck(lambda _: forward()[0], array, gradient, dout, floor=1e-2)
        assert report.error < 1e-5, report


@pytest.mark.parametrize("needs", [("dx",), ("dw", "dgamma"), ("dgamma", "dbeta"), ("dresidual",)])
def test_only_what_is_needed_is_computed(rng, backend, needs):
    given, residual = arrays(rng), rng.normal(size=OUT)
    out, cache = convkit.conv_bn_relu_forward(
        *given, GEOMETRY, {}, residual=residual, backend=backend
    )
    every = convkit.conv_bn_relu_backward(out, cache)
    some = convkit.conv_bn_relu_backward(out, cache, needs=needs)
    names = ("dx", "dw", "db", "dgamma", "dbeta", "dresidual")
    for name, one, other in zip(names, some, every, strict=True):
        assert (one is None) == (name not in needs)
        if one is not None:
            np.testing.assert_array_equal(one, other)


def test_without_a_bias_there_is_no_db(rng, backend):
    given = arrays(rng, bias=False)
    out, cache = convkit.conv_bn_relu_forward(*given, GEOMETRY, {}, backend=backend)
    gradients = convkit.conv_bn_relu_backward(out, cache)
    assert [g is None for g in gradients] == [False, False, True, False, False]


def test_what_is_not_finite(backend):
    """relu keeps NaN, and an infinite gradient does not pass where it is off."""
    x = np.array([[[[-1.0, 1.0, np.nan, np.inf]]]])
    one, running = np.ones(1), {"running_mean": np.zeros(1), "running_var": np.ones(1)}
    given = (
        x,
        np.ones((1, 1, 1, 1)),
        None,
        one,
        0 * one,
        {},
        {"mode": "test", "eps": 0, **running},
    )
    out, cache = convkit.conv_bn_relu_forward(*given, backend=backend)
    np.testing.assert_array_equal(out, [[[[0, 1, np.nan, np.inf]]]])
    dx, *_ = convkit.conv_bn_relu_backward(np.array([[[[np.inf, 2.0, 3.0, 5.0]]]]), cache)
    np.testing.assert_array_equal(dx, [[[[0, 2, 0, 5]]]])


def test_a_batch_of_none(rng, backend):
    x, *rest = arrays(rng)
    named = {"mode": "test", **statistics(rng)}
    out, cache = convkit.conv_bn_relu_forward(x[:0], *rest, GEOMETRY, named, POOL, backend=backend)
    assert out.shape == (0, 6, 2, 3)
    dx, dw, *sums = convkit.conv_bn_relu_backward(out, cache)
    assert dx.shape == (0, 4, 8, 6)
    assert not dw.any()
    assert not any(a.any() for a in sums)
    message = "conv(x, w).shape (=(0, 6, 4, 7)) must hold at least one example in training"
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        convkit.conv_bn_relu_forward(x[:0], *rest, GEOMETRY, {}, backend=backend)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": (5,)}, "gamma.shape (=(5,)) must be (6,), one value per channel of conv(x, w)"),
        (
            {"beta": (6, 1)},
            "beta.shape (=(6, 1)) must be (6,), one value per channel of conv(x, w)",
        ),
        (
            {"residual": (3, 6, 4, 6)},
            "residual.shape (=(3, 6, 4, 6)) must be (3, 6, 4, 7), as conv(x, w) has",
        ),
    ],
)
def test_shapes_are_checked(rng, change, message):
    names = ("x", "w", "b", "gamma", "beta")
    given = dict(zip(names, arrays(rng), strict=True)) | {"residual": None}
    given |= {name: np.zeros(shape) for name, shape in change.items()}
    residual = given.pop("residual")
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        convkit.conv_bn_relu_forward(*given.values(), GEOMETRY, {}, residual=residual)


def test_dtypes_are_checked(rng):
    x, w, b, gamma, beta = arrays(rng)
    message = (
        "gamma.dtype (=float32) must equal x.dtype (=float64); cast with gamma.astype(np.float64)"
    )
    with pytest.raises(convkit.DtypeError, match=f"^{re.escape(message)}$"):
        convkit.conv_bn_relu_forward(x, w, b, gamma.astype("f4"), beta, GEOMETRY, {})


@pytest.mark.parametrize(
    ("bn_param", "message"),
    [
        (
            {"mode": "train"},
            "conv_bn_relu is inference: bn_param must not ask for training; call "
            "conv_bn_relu_forward",
        ),
        ({}, "running_mean is needed where training is False"),
        ({"mode": "on"}, "bn_param['mode'] (='on') must be 'train' or 'test'"),
    ],
)
def test_inference_needs_running_statistics(rng, bn_param, message):
    call = convkit.conv_bn_relu if "on" not in bn_param.values() else convkit.conv_bn_relu_forward
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        call(*arrays(rng), GEOMETRY, bn_param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pad_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize(("relu", "with_residual", "pool"), ENDS)
def test_it_is_verified(rng, relu, with_residual, pool, mode, pad_mode, dtype):
    given = arrays(rng, dtype)
    residual = rng.normal(size=OUT).astype(dtype) if with_residual else None
    conv, norm = {**GEOMETRY, "pad_mode": pad_mode}, {"mode": mode, **statistics(rng, dtype)}
    keywords = {"relu": relu, "residual": residual, "backend": "cython"}
    with convkit.verify_with("naive"):
        out, cache = convkit.conv_bn_relu_forward(*given, conv, dict(norm), pool, **keywords)
        convkit.conv_bn_relu_backward(out - 1, cache)
        if mode == "test":
            convkit.conv_bn_relu(*given, conv, norm, pool, **keywords)


class Wrong(Norm):
    """Normalises, and adds a little to one gradient or to out."""

    where = 0

    def forward(self, spec, *rest):
        out, *others = super().forward(spec, *rest)
        if self.where is None:
            out.flat[-2] += 1e-4
        return out, *others

    def backward(self, *args):
        found = super().backward(*args)
        if self.where is not None:
            found[self.where].flat[0] += 1e-4
        return found


@pytest.mark.parametrize("where", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("pool", [None, POOL])
def test_a_wrong_result_is_found_and_made_again(double, rng, monkeypatch, tmp_path, where, pool):
    wrong = Wrong(None)
    wrong.where = where
    double.batch_norm_forward = lambda _, *args: wrong.forward(*args)
    double.batch_norm_backward = lambda _, *args: wrong.backward(*args)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    given, residual = arrays(rng), rng.normal(size=OUT)
    residual[-1, -1, -1, -2] = 50  # the last result is its window's largest
    named = {"mode": "test", **statistics(rng)}

    def call():
        with convkit.verify_with("naive"):
            out, cache = convkit.conv_bn_relu_forward(
                *given, GEOMETRY, named, pool, residual=residual, backend=double()
            )
            convkit.conv_bn_relu_backward(np.ones_like(out), cache)

    with pytest.raises(convkit.VerifyError, match="conv_bn_relu_"):
        call()
    (stored,) = tmp_path.glob("*.npz")
    replay(str(stored), "naive")
    with pytest.raises(convkit.VerifyError):
        replay(str(stored), double())


def test_a_cache_is_pickled(rng, backend):
    given = arrays(rng)
    out, cache = convkit.conv_bn_relu_forward(*given, GEOMETRY, {}, POOL, backend=backend)
    again = pickle.loads(pickle.dumps(cache))
    found, wanted = (convkit.conv_bn_relu_backward(out, one) for one in (again, cache))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_can_be_explained():
    conv = convkit.spec.ConvSpec.of((1, 2, 5, 5), (3, 2, 3, 3), dtype="float32")
    norm = convkit.spec.NormSpec.after(conv, (3,), (3,), dtype="float32", relu=True)
    pool = convkit.spec.PoolSpec.of(conv.out_shape, kind="max", kernel=3, dtype="float32")
    for specs in ((conv, norm), (conv, norm, pool)):
        selection = convkit.explain(*specs, backend="cython")
        assert selection.operation == "conv_bn_relu"
        assert selection.winner == "cython"


@pytest.mark.parametrize("part", ["conv_forward", "batch_norm_forward", "batch_norm_backward"])
def test_a_wrong_part_is_named_before_the_next_computes_with_it(double, rng, part):
    norm = Norm(None)
    double.batch_norm_forward = lambda _, *args: norm.forward(*args)
    double.batch_norm_backward = lambda _, *args: norm.backward(*args)
    real = getattr(double, part)

    def wrong(self, *args):
        first, *rest = real(self, *args)
        return first[:-1].copy(), *rest

    setattr(double, part, wrong)

    def call():
        out, cache = convkit.conv_bn_relu_forward(*arrays(rng), GEOMETRY, {}, backend=double())
        convkit.conv_bn_relu_backward(out, cache)

    said = f"^backend 'double' returned a wrong result from {part} for .*it has shape"
    with pytest.raises(convkit.BackendResultError, match=said):
        call()


def test_a_norm_that_the_backend_declines_is_computed_without_it(double, rng):
    def supports(self, spec):
        return "not this" if "norm" in spec.operation else None

    double.supports = supports
    double.batch_norm_forward = double.batch_norm_backward = lambda *_: None
    given = arrays(rng)
    out, _ = convkit.conv_bn_relu_forward(*given, GEOMETRY, {}, backend=double())
    wanted, _ = convkit.conv_bn_relu_forward(*given, GEOMETRY, {}, backend="naive")
    close([out], [wanted], "float64")
