"""Batch and group normalisation: by the definition, as PyTorch has it, and what they promise."""

from __future__ import annotations

import re

import numpy as np
import pytest

import convkit
from convkit import ParameterError, ShapeError, gradcheck

SHAPES = [(16, 24), (8, 6, 7), (4, 6, 5, 4), (2, 4, 3, 4, 5)]
ENDS = [(False, False), (True, False), (False, True), (True, True)]  # relu, residual


def arrays(rng, shape, dtype="float64", residual=False):
    x = rng.normal(0.5, 2, shape).astype(dtype)
    gamma, beta = (rng.normal(size=shape[1]).astype(dtype) for _ in range(2))
    return x, gamma, beta, rng.normal(size=shape).astype(dtype) if residual else None


def normalised(x, axes, eps=1e-5):
    """(x - mean) / sqrt(var + eps), in the highest precision NumPy has."""
    x = x.astype(np.longdouble)
    deviation = x - x.mean(axis=axes, keepdims=True)
    return deviation / np.sqrt((deviation**2).mean(axis=axes, keepdims=True) + eps)


def groupings(shape):
    """Layer, group and, where a set then has more than one element, instance normalisation."""
    return (1, 2, shape[1]) if len(shape) > 2 else (1, 2)


def finish(z, gamma, beta, residual, relu):
    shape = (-1, *(1,) * (z.ndim - 2))
    out = z * gamma.reshape(shape) + beta.reshape(shape)
    out = out if residual is None else out + residual
    return np.maximum(out, 0) if relu else out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("relu", "residual"), ENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_is_the_definition(rng, shape, relu, residual, dtype):
    x, gamma, beta, more = arrays(rng, shape, dtype, residual)
    out, cache = convkit.batch_norm_forward(x, gamma, beta, relu=relu, residual=more)
    axes = (0, *range(2, len(shape)))
    expected = finish(normalised(x, axes), gamma, beta, more, relu)
    np.testing.assert_allclose(out, expected, rtol=0, atol=40 * np.finfo(dtype).eps)
    assert out.dtype == dtype
    assert cache.operation == "batch_norm"


@pytest.mark.parametrize(("relu", "residual"), ENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_group_norm_is_the_definition(rng, shape, relu, residual):
    x, gamma, beta, more = arrays(rng, shape, residual=residual)
    for groups in groupings(shape):
        split = x.reshape(shape[0], groups, shape[1] // groups, *shape[2:])
        z = normalised(split, tuple(range(2, split.ndim))).reshape(shape)
        out = convkit.group_norm(x, gamma, beta, groups=groups, relu=relu, residual=more)
        expected = finish(z, gamma, beta, more, relu)
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("relu", "residual"), ENDS)
@pytest.mark.parametrize("name", ["train", "test", "group"])
def test_gradients_are_the_numerical_ones(rng, name, relu, residual):
    given = [a for a in arrays(rng, (3, 4, 2, 3), residual=residual) if a is not None]
    running = {"running_mean": rng.normal(size=4), "running_var": rng.random(4) + 0.5}

    def forward():
        x, gamma, beta, *more = given
        keywords = {"relu": relu, "residual": more[0] if more else None}
        if name == "group":
            return convkit.group_norm_forward(x, gamma, beta, groups=2, **keywords)
        if name == "test":
            keywords |= {"training": False, **running}
        return convkit.batch_norm_forward(x, gamma, beta, **keywords)

    out, cache = forward()
    dout = rng.normal(size=out.shape)
    backward = convkit.group_norm_backward if name == "group" else convkit.batch_norm_backward
    gradients = backward(dout, cache)
    assert len(gradients) == len(given)
    for array, gradient in zip(given, gradients, strict=True):
        report = gradcheck.gradcheck(lambda _: forward()[0], array, gradient, dout, floor=1e-3)
        assert report.error < 1e-6, report


def test_needs(rng):
    x, gamma, beta, residual = arrays(rng, (3, 4, 5), residual=True)
    out, cache = convkit.batch_norm_forward(x, gamma, beta, residual=residual)
    whole = convkit.batch_norm_backward(out, cache)
    names = ("dx", "dgamma", "dbeta", "dresidual")
    for wanted in (("dx",), ("dgamma", "dresidual"), ()):
        found = convkit.batch_norm_backward(out, cache, needs=wanted)
        for name, value, expected in zip(names, found, whole, strict=True):
            if name in wanted:
                np.testing.assert_array_equal(value, expected)
            else:
                assert value is None


def test_running_statistics_move_as_in_the_course(rng):
    x, gamma, beta, _ = arrays(rng, (50, 3))
    old = np.array([1.0, 2.0, 3.0])
    param = {"mode": "train", "running_mean": old, "momentum": 0.75}
    convkit.batch_norm_forward(x, gamma, beta, param)
    np.testing.assert_allclose(param["running_mean"], 0.75 * old + 0.25 * x.mean(axis=0))
    np.testing.assert_allclose(param["running_var"], 0.25 * x.var(axis=0))
    assert old.tolist() == [1, 2, 3]
    param = {"unbiased": True, "momentum": 0}
    convkit.batch_norm_forward(x, gamma, beta, param)
    np.testing.assert_allclose(param["running_var"], x.var(axis=0, ddof=1))
    convkit.batch_norm_forward(x[:1], gamma, beta, param)
    assert not param["running_var"].any()  # one element: the biased variance


def test_one_element_gives_beta():
    out, _ = convkit.batch_norm_forward(np.array([[7.0, -3]]), np.ones(2), np.array([1.5, 2]))
    assert out.tolist() == [[1.5, 2]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_reaches_its_whole_set(rng, value):
    x, gamma, beta, _ = arrays(rng, (3, 4, 5))
    x[1, 2, 3] = value
    out, _ = convkit.batch_norm_forward(x, gamma, beta, relu=True)
    assert np.isnan(out[:, 2]).all()
    assert np.isfinite(np.delete(out, 2, axis=1)).all()
    out = convkit.group_norm(x, gamma, beta, groups=2)
    assert np.isnan(out[1, 2:]).all()
    assert np.isfinite(out[:, :2]).all()
    assert np.isfinite(out[[0, 2]]).all()


def test_an_empty_batch():
    x, one = np.empty((0, 3, 2)), np.ones(3)
    with pytest.raises(ShapeError, match="must hold at least one example in training"):
        convkit.batch_norm_forward(x, one, one)
    out, cache = convkit.batch_norm_forward(
        x, one, one, training=False, running_mean=one, running_var=one
    )
    dx, dgamma, dbeta = convkit.batch_norm_backward(out, cache)
    assert dx.shape == x.shape
    assert not dgamma.any()
    assert not dbeta.any()
    assert convkit.group_norm(x, one, one, groups=3).shape == x.shape


ONE = np.ones(3)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        (
            {"running_mean": ONE},
            ParameterError,
            "running_mean goes with training=False; in training give a bn_param, into which the "
            "moved statistics are put",
        ),
        (
            {"training": False, "running_mean": ONE},
            ParameterError,
            "running_var is needed where training is False",
        ),
        ({"eps": -1.0}, ParameterError, "eps (=-1.0) must be a finite number of at least 0"),
        ({"momentum": 2}, ParameterError, "momentum (=2) must be a number from 0 to 1"),
        ({"relu": 1}, ParameterError, "relu (=1) must be True or False"),
        (
            {"bn_param": {"mode": "training"}},
            ParameterError,
            "bn_param['mode'] (='training') must be 'train' or 'test'",
        ),
        (
            {"bn_param": {"mode": "test"}, "training": True},
            ParameterError,
            "training (=True) and bn_param['mode'] (='test') disagree; give one of them",
        ),
        (
            {"residual": np.ones((2, 3))},
            ShapeError,
            "residual.shape (=(2, 3)) must be (5, 3), as x has",
        ),
    ],
)
def test_refusals(keywords, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        convkit.batch_norm_forward(np.ones((5, 3)), ONE, ONE, **keywords)


def test_inference_refuses_to_train():
    with pytest.raises(ParameterError, match="batch_norm is inference"):
        convkit.batch_norm(np.ones((5, 3)), ONE, ONE, {"mode": "train"})
    with pytest.raises(ParameterError, match="groups is needed; give groups="):
        convkit.group_norm(np.ones((5, 3)), ONE, ONE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("relu", "residual"), ENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_they_are_pytorchs(rng, shape, relu, residual, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    F = torch.nn.functional
    given = [a for a in arrays(rng, shape, dtype, residual) if a is not None]
    dout = rng.normal(size=shape).astype(dtype)
    tolerance = 400 * np.finfo(dtype).eps
    running = [np.full(shape[1], v, dtype) for v in (0.5, 2.0)]

    def batch(x, gamma, beta, training):
        moved = [torch.from_numpy(a.copy()) for a in running]
        return F.batch_norm(x, *moved, gamma, beta, training), moved

    def ours(training):
        x, gamma, beta, *more = given
        param = {"training": training, "running_mean": running[0], "running_var": running[1]}
        param["unbiased"] = True
        more = {"relu": relu, "residual": more[0] if more else None}
        return convkit.batch_norm_forward(x, gamma, beta, param, **more), param

    def check(out, gradients, theirs, tensors):
        theirs = theirs + tensors[3] if residual else theirs
        theirs = theirs.relu() if relu else theirs
        np.testing.assert_allclose(out, theirs.detach().numpy(), atol=tolerance, rtol=tolerance)
        theirs.backward(torch.from_numpy(dout))
        for gradient, tensor in zip(gradients, tensors, strict=True):
            np.testing.assert_allclose(
                gradient, tensor.grad.numpy(), atol=20 * tolerance, rtol=tolerance
            )

    for training in (True, False):
        tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in given]
        theirs, moved = batch(*tensors[:3], training)
        (out, cache), param = ours(training)
        check(out, convkit.batch_norm_backward(dout, cache), theirs, tensors)
        if training:
            for name, value in zip(("running_mean", "running_var"), moved, strict=True):
                np.testing.assert_allclose(param[name], value.numpy(), rtol=tolerance)
    for groups in groupings(shape):
        tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in given]
        x, gamma, beta, *more = given
        out, cache = convkit.group_norm_forward(
            x, gamma, beta, groups=groups, relu=relu, residual=more[0] if more else None
        )
        theirs = F.group_norm(tensors[0], groups, *tensors[1:3])
        check(out, convkit.group_norm_backward(dout, cache), theirs, tensors)
