"""Normalisation of the compiled backend: every listed kernel on every instruction set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from listed_kernels import DTYPES, listed

from convkit.calls.norms import Norm
from convkit.spec import NormSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")

# x shape, and into how many groups a group normalisation divides its channels.
NORMS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "features": ((37, 24), (1, 4)),
    "more features than are worked on at a time": ((70, 530), (1, 2)),
    "one feature": ((5, 1), (1,)),
    "few pixels": ((9, 12, 2, 3), (1, 3, 12)),
    "few pixels, many channels": ((3, 300, 1, 2), (2, 300)),
    "odd rows": ((5, 6, 7, 7), (1, 2, 6)),
    "one pixel more than whole vectors": ((3, 2, 3, 11), (1, 2)),
    "1-D": ((6, 3, 45), (3,)),
    "3-D": ((2, 4, 3, 4, 5), (2,)),
    "4-D": ((2, 3, 2, 3, 2, 3), (1, 3)),
    "rows in several parts": ((2, 3, 97, 95), (1, 3)),
    "sets larger than L2": ((9, 8, 150, 101), (1,)),
    "one image": ((1, 5, 4, 9), (5,)),
    "empty batch": ((0, 4, 3, 3), (2,)),
}
KINDS = ("train", "inference", "group")


def specs(kind: str, shape: tuple[int, ...], groups: Any, dtype: Any, **ends: Any) -> Iterator[Any]:
    """Each spec of a kind on such images; no training without an image."""
    channels = shape[1:2]
    given: dict[str, Any] = {"dtype": dtype, **ends}
    if kind == "group":
        for number in groups:
            yield NormSpec.of(shape, channels, channels, kind="group", groups=number, **given)
    elif kind == "inference":
        yield NormSpec.of(shape, *[channels] * 4, kind="batch", training=False, **given)
    elif shape[0]:
        yield NormSpec.of(shape, channels, channels, kind="batch", **given)


def data(spec: NormSpec, seed: int = 3, offset: float = 2.0) -> dict[str, Any]:
    """Arrays of a problem."""
    rng = np.random.default_rng(seed)

    def real(shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal(shape).astype(spec.dtype)

    c = spec.x_shape[1:2]
    return {
        "x": (real(spec.x_shape) * 3 + offset).astype(spec.dtype),
        "gamma": real(c),
        "beta": real(c),
        "mean": real(c),
        "var": (rng.random(c) + 0.5).astype(spec.dtype),
        "residual": real(spec.x_shape) if spec.has_residual else None,
        "dout": real(spec.x_shape),
    }


def reference(spec: NormSpec, a: dict[str, Any]) -> dict[str, Any]:
    """The definition in NumPy's highest precision, with the size of what each result sums."""
    wide = {name: None if v is None else v.astype(np.longdouble) for name, v in a.items()}
    n, c, *axes = spec.x_shape
    batch = spec.kind == "batch"
    split = (1, n, c, 1, -1) if batch else (n, 1, spec.groups, c // spec.groups, -1)
    split = (*split[:4], int(np.prod(axes)))
    over = (1, 3, 4)

    def sets(values: Any) -> Any:
        return values.reshape(split)

    def channels(values: Any) -> Any:
        return values.reshape((1, 1, c, 1, 1) if batch else (1, 1, spec.groups, -1, 1))

    x, dout = sets(wide["x"]), sets(wide["dout"])
    gamma, beta = channels(wide["gamma"]), channels(wide["beta"])
    if spec.training:
        mean = x.mean(axis=over, keepdims=True)
        var = ((x - mean) ** 2).mean(axis=over, keepdims=True)
    else:
        mean, var = channels(wide["mean"]), channels(wide["var"])
    inverse = 1 / np.sqrt(var + spec.eps)
    z = (x - mean) * inverse
    before = z * gamma + beta + (sets(wide["residual"]) if spec.has_residual else 0)
    out = np.maximum(before, 0) if spec.relu else before
    dy = np.where(before > 0, dout, 0) if spec.relu else dout
    axes_of_channel = (1, 3, 4) if batch else (0, 1, 4)
    scaled = dy * gamma
    dx = scaled * inverse
    if spec.training:
        share = scaled.mean(axis=over, keepdims=True)
        slope = (scaled * z).mean(axis=over, keepdims=True)
        dx = dx - (share + z * slope) * inverse
    return {
        "out": out.reshape(spec.x_shape),
        "dx": dx.reshape(spec.x_shape),
        "dgamma": (dy * z).sum(axis=axes_of_channel).reshape(c),
        "dbeta": dy.sum(axis=axes_of_channel).reshape(c),
        "dresidual": dy.reshape(spec.x_shape),
        "mean": np.broadcast_to(mean, (*mean.shape[:3], 1, 1)).ravel(),
        "var": np.broadcast_to(var, (*var.shape[:3], 1, 1)).ravel(),
        "before": np.abs(before).reshape(spec.x_shape),
        # How much larger an error of x becomes, twice in dx.
        "condition": (1 + 4 * inverse.max(initial=0)) ** 2,
    }


GRADIENTS = ("dx", "dgamma", "dbeta", "dresidual")


def run(spec: NormSpec, kernel: str, a: dict[str, Any], keep: bool = True) -> dict[str, Any]:
    """Every result of a kernel, in memory that was NaN before."""
    plan = _kernels.NormPlan(spec, kernel)
    statistics = np.full(plan.statistics_shape, np.nan)
    if not spec.training:
        statistics[0], statistics[1] = a["mean"], a["var"]
    positive = np.full(plan.positive_bytes, 255, np.uint8) if keep and spec.relu else None
    found = {"out": np.full(spec.x_shape, np.nan, spec.dtype)}
    arrays = [a[name] for name in ("x", "gamma", "beta", "residual")]
    plan.forward(*arrays, statistics, positive, found["out"])
    found |= {"mean": statistics[0].ravel(), "var": statistics[1].ravel()}
    if keep:
        like = [a["x"], a["gamma"], a["beta"], a["x"] if spec.has_residual else None]
        grads = [None if v is None else np.full_like(v, np.nan) for v in like]
        plan.backward(a["dout"], a["x"], a["gamma"], statistics, positive, *grads)
        found |= dict(zip(GRADIENTS, grads, strict=True))
    return found


@pytest.mark.sampled(fast=20, usual=4)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "ends", [{}, {"relu": True}, {"residual": True}, {"relu": True, "residual": True}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "groups"), [pytest.param(*case, id=name) for name, case in NORMS.items()]
)
def test_every_norm_kernel_is_the_definition(
    isa: str, shape: tuple[int, ...], groups: Any, kind: str, ends: Any, dtype: Any
) -> None:
    """Errors are counted in units of roundoff of what a result is made of."""
    ends = {**ends, "residual": shape} if "residual" in ends else ends
    for spec in specs(kind, shape, groups, dtype, **ends):
        a = data(spec)
        want = reference(spec, a)
        u = float(np.finfo(dtype).eps) / 2
        if spec.relu:  # where rounding decides what relu passes, nothing is to be passed
            a["dout"][want["before"] < 1e4 * u * want["condition"]] = 0
            want = reference(spec, a)
        for kernel in listed("norm_forward", spec):
            assert kernel in listed("norm_backward", spec)
            found = run(spec, kernel, a)
            again = run(spec, kernel, a, keep=False)
            np.testing.assert_array_equal(found["out"], again["out"])
            for name in ("mean", "var"):
                np.testing.assert_allclose(found[name], want[name], 64 * u, 64 * u, err_msg=name)
            deep = 1 + np.sqrt(float(np.prod(shape)) or 1)
            for name in ("out", *GRADIENTS):
                if name == "dresidual" and not spec.has_residual:
                    continue
                size = want["condition"] * (deep if name in ("dgamma", "dbeta") else 1)
                limit = 64 * u * float(size * np.abs(want[name]).max(initial=1))
                np.testing.assert_allclose(found[name], want[name], 0, limit, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_do_not_depend_on_the_number_of_threads(isa: str, kind: str) -> None:
    before = _kernels.num_threads()
    try:
        for shape, groups in (
            ((70, 530), (2,)),
            ((9, 8, 150, 101), (1,)),
            ((32, 16, 33, 32), (4,)),
        ):
            for spec in specs(kind, shape, groups, "f4", relu=True, residual=shape):
                for kernel in listed("norm_forward", spec):
                    a, bits = data(spec), []
                    for threads in (1, 2, 5):
                        _kernels.set_num_threads(threads)
                        bits.append([v.tobytes() for v in run(spec, kernel, a).values()])
                    assert bits[0] == bits[1] == bits[2], (spec, kernel)
    finally:
        _kernels.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 2, 60, 224), (4000, 6), (2000, 3, 2, 2)], ids=str)
def test_a_constant_has_its_own_mean_and_no_variance(isa: str, shape: Any, dtype: Any) -> None:
    for spec in (*specs("train", shape, (), dtype), *specs("group", shape, (1,), dtype)):
        for kernel in listed("norm_forward", spec):
            a = data(spec)
            a["x"] = np.full(shape, 5.1, dtype)
            a["beta"][...] = 0
            found = run(spec, kernel, a)
            assert (found["mean"] == a["x"].flat[0]).all()
            assert not found["var"].any()
            assert not found["out"].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 3, 33), (64, 3, 1, 2), (900, 5), (3, 4, 91, 93)], ids=str)
def test_a_large_mean_costs_the_variance_no_digits(isa: str, shape: Any, dtype: Any) -> None:
    """|var - ref| <= k u var + (k u mean)**2; an outlier comes first, where sums begin."""
    for spec in (*specs("train", shape, (), dtype), *specs("group", shape, (1,), dtype)):
        for kernel in listed("norm_forward", spec):
            a = data(spec, offset=1e3)
            a["x"].flat[0] = -1e5
            want = reference(spec, a)
            u = float(np.finfo(dtype).eps) / 2
            limit = 16 * u * want["var"] + (16 * u * 1e3) ** 2
            assert (np.abs(run(spec, kernel, a)["var"] - want["var"]) <= limit).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_where_the_composed_norm_puts_it(
    isa: str, value: float, kind: str, dtype: Any
) -> None:
    for shape in ((6, 8), (6, 8, 2, 2), (3, 8, 5, 9)):
        for spec in specs(kind, shape, (4,), dtype, relu=True):
            for where in ("x", "dout"):
                a = data(spec)
                a[where][1, 3] = value
                composed = Norm(None)
                given = [a[n] for n in ("x", "gamma", "beta")]
                running = [a["mean"], a["var"]] if kind == "inference" else [None, None]
                extra = [] if kind == "group" else running
                out, saved, *_ = composed.forward(spec, *given, *extra, None)
                grads = composed.backward(spec, a["dout"], *given, saved, GRADIENTS[:3])
                for kernel in listed("norm_forward", spec):
                    with np.errstate(all="ignore"):
                        found = run(spec, kernel, a)
                    for name, want in zip(("out", *GRADIENTS), (out, *grads), strict=False):
                        same = np.isfinite(found[name]) == np.isfinite(want)
                        assert same.all(), (spec, kernel, where, name)
                    np.testing.assert_array_equal(np.isnan(found["out"]), np.isnan(out))


def test_a_gradient_that_is_not_wanted_is_not_computed(isa: str) -> None:
    for kind in KINDS:
        for shape in ((6, 8, 2, 2), (3, 8, 5, 9)):
            for spec in specs(kind, shape, (4,), "f8", relu=True, residual=shape):
                backend, a = convkit_cython.convkit_backend(), data(spec)
                name = spec.operation
                given = [a[n] for n in ("x", "gamma", "beta")]
                extra = [a["mean"], a["var"]] if kind != "group" else []
                forward, backward = (
                    getattr(backend, f"{name}_{s}") for s in ("forward", "backward")
                )
                _, saved, *_ = forward(spec, *given, *extra, a["residual"])
                whole = backward(spec, a["dout"], *given, saved, GRADIENTS)
                for wanted in ((), *((g,) for g in GRADIENTS), ("dx", "dresidual")):
                    some = backward(spec, a["dout"], *given, saved, wanted)
                    for gradient, value, all_of_it in zip(GRADIENTS, some, whole, strict=True):
                        if gradient in wanted:
                            np.testing.assert_array_equal(value, all_of_it)
                        else:
                            assert value is None


def test_one_element_gives_beta(isa: str) -> None:
    for spec in (*specs("train", (1, 3), (), "f4"), *specs("group", (2, 3), (3,), "f4")):
        for kernel in listed("norm_forward", spec):
            a = data(spec)
            found = run(spec, kernel, a)
            np.testing.assert_array_equal(found["out"], np.broadcast_to(a["beta"], spec.x_shape))
            # Two products of the same numbers, one of them rounded before it is subtracted.
            size = np.abs(a["gamma"] * a["dout"]) / np.sqrt(spec.eps)
            assert (np.abs(found["dx"]) <= 4 * np.finfo("f4").eps * size).all()
