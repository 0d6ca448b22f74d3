"""Numerical gradients: exact cases, restoration, the printed lines, the worst element."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import DtypeError, ParameterError, ShapeError
from convkit.gradcheck import (
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    grad_check_sparse,
    gradcheck,
    rel_error,
)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 4))


def test_rel_error():
    assert rel_error([1.0, 2.0], [1.0, 3.0]) == pytest.approx(0.2)
    assert rel_error([0.0], [1e-9]) == pytest.approx(0.1)  # below 1e-8 it is absolute
    assert rel_error([], []) == 0


def test_gradient_of_a_scalar_function(x):
    before = x.copy()
    grad = eval_numerical_gradient(lambda x: np.sum(x**2), x, verbose=False)
    np.testing.assert_allclose(grad, 2 * before, rtol=1e-8)
    np.testing.assert_array_equal(x, before)


def test_verbose_prints_every_index(x, capsys):
    eval_numerical_gradient(np.sum, x)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[5].startswith("(1, 1) ")


def test_quiet_prints_nothing(x, capsys):
    eval_numerical_gradient(np.sum, x, verbose=False)
    assert capsys.readouterr().out == ""


def test_gradient_of_an_array_function(x):
    df = np.random.default_rng(1).standard_normal((3, 4))
    grad = eval_numerical_gradient_array(np.sin, x, df)
    np.testing.assert_allclose(grad, np.cos(x) * df, rtol=1e-8)


def test_a_function_that_reuses_its_output_is_measured_rightly(x):
    out = np.empty_like(x)
    grad = eval_numerical_gradient_array(lambda x: np.multiply(x, 3, out=out), x, np.ones_like(x))
    np.testing.assert_allclose(grad, 3, rtol=1e-8)


@pytest.mark.parametrize("call", [1, 2])
def test_x_is_restored_when_the_function_raises(x, call):
    before, calls = x.copy(), []

    def f(x):
        calls.append(1)
        if len(calls) == call:
            raise RuntimeError
        return 0.0

    with pytest.raises(RuntimeError):
        eval_numerical_gradient(f, x, verbose=False)
    np.testing.assert_array_equal(x, before)


def test_a_view_is_perturbed_where_it_lies():
    base = np.arange(12.0).reshape(3, 4)
    view = base[::2, ::-1]
    grad = eval_numerical_gradient(lambda _: (base**2).sum(), view, verbose=False)
    np.testing.assert_allclose(grad, 2 * view, rtol=1e-7, atol=1e-7)


def test_sparse_check_prints_the_course_s_lines(x, capsys):
    grad_check_sparse(lambda x: np.sum(x**2), x, 2 * x, num_checks=3, rng=0)
    lines = capsys.readouterr().out.splitlines()
    pattern = r"numerical: -?\d+\.\d{6} analytic: -?\d+\.\d{6}, relative error: (\d\.\d{6}e[+-]\d+)"
    errors = [float(re.fullmatch(pattern, line)[1]) for line in lines]
    assert len(errors) == 3
    assert max(errors) < 1e-8


def test_gradcheck_finds_the_one_wrong_element(x):
    analytic = 2 * x
    analytic[1, 2] += 0.5
    report = gradcheck(lambda x: np.sum(x**2), x, analytic)
    assert report.index == (1, 2)
    assert report.analytic == analytic[1, 2]
    assert report.numerical == pytest.approx(2 * x[1, 2])
    assert str(report).startswith(f"worst element [1, 2]: analytic {analytic[1, 2]:.9g}, numerical")


def test_gradcheck_of_an_array_function(x):
    df = np.ones_like(x)
    assert gradcheck(np.exp, x, np.exp(x), df).error < 1e-8


def test_gradcheck_does_not_let_nan_pass(x):
    analytic = 2 * x
    analytic[2, 3] = np.nan
    report = gradcheck(lambda x: np.sum(x**2), x, analytic)
    assert report.index == (2, 3)
    assert report.error == np.inf


def test_bad_arguments(x):
    with pytest.raises(DtypeError, match=r"^x \(=int64\) must be an array of floats"):
        eval_numerical_gradient(np.sum, np.arange(3))
    with pytest.raises(DtypeError, match=r"^x \(=list\) must be an array of floats"):
        eval_numerical_gradient(np.sum, [1.0])
    x.setflags(write=False)
    with pytest.raises(ParameterError, match=r"^x must be writeable"):
        eval_numerical_gradient(np.sum, x)
    with pytest.raises(ParameterError, match=r"^h \(=0\) must be greater than 0"):
        eval_numerical_gradient(np.sum, np.ones(2), h=0)
    with pytest.raises(ShapeError, match=r"^analytic_grad\.shape \(=\(2,\)\) must equal x\.shape"):
        gradcheck(np.sum, np.ones(3), np.ones(2))
    with pytest.raises(ShapeError, match=r"^x\.shape \(=\(0,\)\) must hold at least one element"):
        gradcheck(np.sum, np.ones(0), np.ones(0))


def test_a_step_below_the_rounding_of_x_is_said():
    x = np.array([1.0, 2e4], np.float32)
    with pytest.warns(
        RuntimeWarning, match=r"^h \(=1e-05\) is below the rounding of x\[1\]"
    ) as seen:
        report = gradcheck(lambda x: float(np.sum(x)), x, np.ones(2, np.float32))
    assert len(seen) == 1
    assert report.error == 1
    assert str(report).endswith("; use float64, smaller values or a larger h")
    wide = gradcheck(lambda x: float(np.sum(x)), x, np.ones(2, np.float32), h=1.0)
    assert (wide.error, wide.remark) == (0, "")
    assert gradcheck(np.sum, x.astype(float), np.ones(2)).remark == ""
    with pytest.warns(RuntimeWarning, match="below the rounding"):
        eval_numerical_gradient(np.sum, x, verbose=False)
