"""Gradients by central differences, to check analytic ones against.

The functions with the course's names keep its signatures and its printed lines; :func:`gradcheck`
is the one to use in a test: it looks at every element and names the worst. A checked array is
changed in place, one element at a time, and is always restored, also when the function raises.
Nothing here knows a layer or a backend.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DtypeError, ParameterError, ShapeError

__all__ = [
    "GradientReport",
    "eval_numerical_gradient",
    "eval_numerical_gradient_array",
    "grad_check_sparse",
    "gradcheck",
    "rel_error",
]

Array = npt.NDArray[Any]


def rel_error(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the largest |x - y| / max(1e-8, |x| + |y|) over all elements (0 for empty arrays)."""
    a, b = np.asarray(x), np.asarray(y)
    if not a.size:
        return 0.0
    return float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))))


def eval_numerical_gradient(
    f: Callable[[Array], Any], x: Array, verbose: bool = True, h: float = 1e-5
) -> Array:
    """Return the gradient of a scalar function f at x, (f(x + h) - f(x - h)) / 2h per element.

    x is perturbed in place and restored. Where h is below the rounding of x there is a
    RuntimeWarning. ``verbose`` prints each index with its derivative.
    """
    _check_point(x, h)
    grad = np.zeros_like(x)
    for ix in np.ndindex(x.shape):
        plus, minus = _both_sides(f, x, ix, h)
        grad[ix] = (plus - minus) / (2 * h)
        if verbose:
            print(ix, grad[ix])
    return grad


def eval_numerical_gradient_array(
    f: Callable[[Array], Array], x: Array, df: npt.ArrayLike, h: float = 1e-5
) -> Array:
    """Return the gradient of sum(f(x) * df) at x, for f that returns an array of df's shape.

    x is perturbed in place and restored.
    """
    _check_point(x, h)
    weights = np.asarray(df)
    grad = np.zeros_like(x)
    for ix in np.ndindex(x.shape):
        plus, minus = _both_sides(f, x, ix, h)
        grad[ix] = np.sum((plus - minus) * weights) / (2 * h)
    return grad


def grad_check_sparse(
    f: Callable[[Array], Any],
    x: Array,
    analytic_grad: Array,
    num_checks: int = 10,
    h: float = 1e-5,
    *,
    rng: int | np.random.Generator | None = None,
) -> None:
    """Compare ``num_checks`` random elements of a gradient with numerical ones, one line each."""
    _check_point(x, h)
    _check_gradient(x, analytic_grad)
    generator = np.random.default_rng(rng)
    for _ in range(num_checks):
        ix = tuple(int(generator.integers(size)) for size in x.shape)
        plus, minus = _both_sides(f, x, ix, h)
        numerical, analytic = float((plus - minus) / (2 * h)), float(analytic_grad[ix])
        error = abs(numerical - analytic) / max(1e-8, abs(numerical) + abs(analytic))
        print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {error:e}")


@dataclass(frozen=True)
class GradientReport:
    """The worst element of a gradient check."""

    index: tuple[int, ...]
    analytic: float
    numerical: float
    error: float  # |analytic - numerical| / max(floor, |analytic| + |numerical|)
    remark: str = ""  # where h is below the rounding of x

    def __str__(self) -> str:
        place = "[" + ", ".join(map(str, self.index)) + "]"
        return (
            f"worst element {place}: analytic {self.analytic:.9g}, "
            f"numerical {self.numerical:.9g}, relative error {self.error:.1e}"
            + (f"; {self.remark}" if self.remark else "")
        )


def gradcheck(
    f: Callable[[Array], Any],
    x: Array,
    analytic_grad: Array,
    df: npt.ArrayLike | None = None,
    *,
    h: float = 1e-5,
    floor: float = 1e-8,
) -> GradientReport:
    """Compare every element of a gradient with the numerical one; return the worst.

    f returns a scalar, or with ``df`` an array of df's shape, and sum(f(x) * df) is differentiated.
    ``floor`` is the smallest size a relative error refers to: below it the error is absolute, in
    units of the floor. A NaN anywhere is the worst there is. An empty x is a ShapeError: nothing
    was checked.
    """
    _check_gradient(x, analytic_grad)
    if not x.size:
        raise ShapeError(f"x.shape (={x.shape}) must hold at least one element to check")
    if df is None:
        numerical = eval_numerical_gradient(f, x, verbose=False, h=h)
    else:
        numerical = eval_numerical_gradient_array(f, x, df, h)
    size = np.maximum(floor, np.abs(analytic_grad) + np.abs(numerical))
    errors = np.abs(analytic_grad - numerical) / size
    errors = np.where(np.isnan(errors), np.inf, errors)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), x.shape))
    worst = float(analytic_grad[index]), float(numerical[index]), float(errors[index])
    return GradientReport(index, *worst, _rounding_remark(x, h))


def _both_sides(
    f: Callable[[Array], Any], x: Array, ix: tuple[int, ...], h: float
) -> tuple[Any, Any]:
    """Return f at x + h and x - h in element ix, which is put back whatever f does."""
    old = x[ix].copy()
    try:
        x[ix] = old + h
        plus = np.array(f(x))  # a copy: f may return the same memory twice
        x[ix] = old - h
        return plus, np.array(f(x))
    finally:
        x[ix] = old


def _check_point(x: Array, h: float) -> None:
    if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise DtypeError(f"x (={kind}) must be an array of floats: it is perturbed by h; cast it")
    if not x.flags.writeable:
        raise ParameterError("x must be writeable, it is perturbed in place: pass x.copy()")
    if not h > 0:
        raise ParameterError(f"h (={h!r}) must be greater than 0")
    remark = _rounding_remark(x, h)
    if remark:
        warnings.warn(remark, RuntimeWarning, stacklevel=3)


def _rounding_remark(x: Array, h: float) -> str:
    """Return a line where x + h and x - h are not 2h apart, for x cannot hold them; else ""."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = x.dtype.type(h)
        apart = (x + step) - (x - step)
        wrong = np.isfinite(x) & (np.abs(apart - 2 * step) > 0.2 * step)
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"h (={h:g}) is below the rounding of x{list(index)} (={x[index]:g}, {x.dtype}): the "
        "numerical gradient is of no use there; use float64, smaller values or a larger h"
    )


def _check_gradient(x: Array, analytic_grad: Array) -> None:
    if np.shape(analytic_grad) != x.shape:
        raise ShapeError(
            f"analytic_grad.shape (={np.shape(analytic_grad)}) must equal x.shape (={x.shape})"
        )
