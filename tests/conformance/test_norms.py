"""What the suite says of normalisations: its reference, its bounds, and whom it accuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance_mutants.norm_base import Norms, ThreadedNorms

from convkit import conformance
from convkit.calls.norms import Norm
from convkit.conformance import data, problems
from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case, case, parse
from convkit.conformance.entries import ENTRIES

OPS = ("batch_norm", "group_norm")


class Composed(Norms):
    """convkit's own composition, as a backend's methods."""

    name = "composed"

    def __init__(self) -> None:
        self.norm = Norm(self)

    def batch_norm_forward(self, spec: Any, *given: Any) -> Any:
        return self.norm.forward(spec, *given)

    def batch_norm_backward(self, spec: Any, *given: Any) -> Any:
        return self.norm.backward(spec, *given)

    group_norm_forward = batch_norm_forward
    group_norm_backward = batch_norm_backward
    batch_norm_infer = None  # type: ignore[assignment]
    group_norm_infer = None  # type: ignore[assignment]


@pytest.mark.long
@pytest.mark.parametrize("make", [Composed, Norms])
def test_correct_backends_are_clean(make: Callable[[], Any]) -> None:
    checks = [name for name in conformance.CHECKS if name != "many-calls"]  # slow in NumPy
    report = conformance.run(make(), "quick", ops=OPS, checks=checks, seed=1, isolated=False)
    assert report.ok, report.text("x")
    assert report.counts["pass"] > 3000


@pytest.mark.long
def test_a_correct_backend_with_threads_is_clean() -> None:
    checks = ["threads", "concurrent", "repeat", "repeat-real", "pairs", "statistics", "constants"]
    report = conformance.run(ThreadedNorms(), "quick", ops=OPS, checks=checks)
    assert report.ok, report.text("x")
    assert not report.counts["n/a"]


def by_loops(found: Case, given: Inputs) -> dict[str, Any]:
    """out, dx, dgamma and dbeta number by number, with `math.fsum`; no residual."""
    spec, x, dout = found.specs[0], given.x.astype(float), given.dout.astype(float)
    out, dx = np.zeros(x.shape), np.zeros(x.shape)
    dgamma, dbeta = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    share = x.shape[1] // spec.groups
    sets: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for at in np.ndindex(*x.shape):
        key = (at[1],) if spec.kind == "batch" else (at[0], at[1] // share)
        sets.setdefault(key, []).append(at)
    for places in sets.values():
        n = len(places)
        mean = math.fsum(x[at] for at in places) / n
        root = math.sqrt(math.fsum((x[at] - mean) ** 2 for at in places) / n + spec.eps)
        z = {at: (x[at] - mean) / root for at in places}
        plain = {at: given.gamma[at[1]] * z[at] + given.beta[at[1]] for at in places}
        d = {at: dout[at] * (plain[at] > 0 or not spec.relu) for at in places}
        scaled = {at: d[at] * given.gamma[at[1]] for at in places}
        part = math.fsum(scaled.values()) / n
        slope = math.fsum(scaled[at] * z[at] for at in places) / n
        for at in places:
            out[at] = max(plain[at], 0.0) if spec.relu else plain[at]
            dx[at] = (scaled[at] - part - z[at] * slope) / root
            dgamma[at[1]] += d[at] * z[at]
            dbeta[at[1]] += d[at]
    return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("op", "more"), [("batch_norm", {}), ("group_norm", {"groups": 2})])
@pytest.mark.parametrize("x", [(3, 4), (2, 6, 3, 2)])
def test_the_reference_is_the_definition(
    op: str, more: dict[str, Any], x: tuple[int, ...], relu: bool
) -> None:
    found = case(op, "x", dtype="float64", data="smooth", x=x, relu=relu, **more)
    given = data.inputs(found)
    wanted = data.expected(found)
    for name, value in by_loops(found, given).items():
        np.testing.assert_allclose(wanted[name].ref.astype(float), value, rtol=1e-12, atol=1e-12)
        assert (wanted[name].limit < 1e-11).all()


@pytest.mark.parametrize("op", OPS)
def test_bounds_are_small_beside_the_results(op: str) -> None:
    """So that a lost number among thousands shows: the median bound of random problems."""
    shares = []
    for _, _, found in problems.chosen(op, "quick", 0)[::50]:
        if not found.x_shape[0]:
            continue
        plain = Case(op, found.geometry, found.dtype, "real", found.seed)
        wanted = data.expected(plain)
        u = np.finfo(found.dtype).eps
        shares += [float(np.median(wanted["out"].limit)) / u]
        assert all(np.isfinite(e.limit).all() for e in wanted.values())
    assert np.median(shares) < 200


def test_a_number_of_a_geometry_reads_back() -> None:
    for eps in (1e-5, 0.0, 1e-30, 300.0, 1e6):
        found = case("batch_norm", "x", x=(3, 4), eps=eps, training=False)
        assert parse(str(found)) == found
    assert parse("group_norm x=2,4 groups=2 residual=1b").shapes["residual"] == (2, 4)


class Declining(Norms):
    """Takes float32 without a residual; convkit composes the rest, which says nothing of it."""

    name = "declining"

    def supports(self, spec: Any) -> str | None:
        if spec.operation in OPS and (spec.dtype == np.float64 or spec.has_residual):
            return "float32 without a residual only"
        return None


def test_declining_is_never_failing_and_never_passing() -> None:
    report = conformance.run(Declining(), "quick", ops=OPS, isolated=False)
    assert report.ok, report.text("x")
    others = [r for r in report.results if r.check != "supports"]
    assert {r.status for r in others if "residual=1b" in r.case} <= {"unsupported", "n/a"}
    assert report.counts["unsupported"] > 1000


def test_a_running_mean_from_the_wrong_call_is_found() -> None:
    class Late(Norms):
        name = "late"

        def moved(self, spec: Any, mean: Any, var: Any) -> Any:
            before = getattr(self, "before", {})
            self.before = {**before, spec: super().moved(spec, mean, var)}
            return before.get(spec, self.before[spec])

    report = conformance.run(Late(), "quick", ops=["batch_norm"], isolated=False, maxfail=1)
    assert not report.ok


@pytest.mark.parametrize("op", OPS)
def test_data_are_hard_on_wrong_arithmetic(op: str) -> None:
    """Means far from 0, gammas of 0, arguments of relu that are exactly 0, sums that are exact."""
    found = case(op, "x", x=(5, 24, 3, 4), relu=True, residual=True,
                 **({"groups": 6} if op == "group_norm" else {}))  # fmt: skip
    given, wanted = data.inputs(found), data.expected(found)
    assert not given.gamma.all()
    means = np.abs(given.x.reshape(*given.x.shape[:2], -1).mean(axis=2))
    assert means.max() > 100
    assert ((wanted["out"].ref == 0) & (given.x != 0)).any()
    assert (wanted["dbeta"].limit < 1).any()
    entry = ENTRIES[op]
    assert entry.curved
    assert entry.composed_alone
