"""Backends beside a reference: they take turns, and what cannot solve a problem is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit.bench import comparison, timing
from convkit.bench.problems import Problem, arrays

CONV = Problem("conv", "conv", (3, 2, 6, 5), 4, kernel=3, stride=1, pad="same")
POOL = Problem("pool", "max", (3, 2, 6, 6), 2, kernel=2, stride=2, pad=0)


def test_backends_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    made = comparison.forward_call

    def recorded(problem: Problem, data: Any, backend: str) -> Any:
        call = made(problem, data, backend)
        return lambda: (calls.append(backend), call())[1]

    monkeypatch.setattr(timing, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(comparison, "forward_call", recorded)
    timings = comparison.measure(POOL, ["naive", "im2col_numpy"], "float64", rounds=3)
    warm_up, rounds = calls[:2], calls[2:]
    assert warm_up == ["naive", "im2col_numpy"]
    assert rounds == ["naive", "im2col_numpy", "im2col_numpy", "naive", "naive", "im2col_numpy"]
    assert {d: {name: len(t.seconds) for name, t in by_name.items()}
            for d, by_name in timings.items()} == {
        "forward": {"naive": 3, "im2col_numpy": 3},
        "backward": {"naive": 3, "im2col_numpy": 3},
    }  # fmt: skip


@pytest.mark.parametrize("problem", [CONV, POOL], ids=lambda problem: problem.name)
def test_results_are_those_of_the_whole_problem(problem: Problem) -> None:
    timings = comparison.measure(problem, ["naive", "im2col_numpy"], "float64", rounds=1)
    gradients = problem.operation.gradients
    shapes = problem.shapes
    for timing_ in timings["forward"].values():
        assert {name: a.shape for name, a in timing_.results.items()} == {"out": shapes["dout"]}
    for timing_ in timings["backward"].values():
        assert {name: a.shape for name, a in timing_.results.items()} == {
            name: shapes[name[1:]] for name in gradients
        }
    for direction in timings.values():
        reference, other = (timing_.results for timing_ in direction.values())
        for name, value in reference.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-10, atol=1e-12)


class Declines(Im2colNumpy):
    """A backend that has no convolution."""

    name = "declines"

    def supports(self, spec: Any) -> str | None:
        return "it has no convolution" if spec.operation == "conv" else None


def test_a_backend_that_cannot_solve_a_problem_is_left_out() -> None:
    rows = comparison.speedup_rows([CONV, POOL], ["naive", Declines()], "float32", rounds=1)
    found = {(getattr(row["backend"], "name", row["backend"]), row["operation"]) for row in rows}
    assert found == {
        ("naive", "conv forward"),
        ("naive", "conv backward"),
        *((name, f"pool {d}") for name in ("naive", "declines") for d in ("forward", "backward")),
    }
    by_key = {(str(row["backend"]), row["operation"]): row for row in rows}
    assert by_key["naive", "conv forward"]["speedup"] == 1.0


def test_speedups_are_ratios_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"naive": [4.0, 6.0, 5.0], "im2col_numpy": [2.0, 1.0, 9.0]}
    made = {name: comparison.Timing(taken) for name, taken in seconds.items()}
    monkeypatch.setattr(comparison, "measure", lambda *arguments: {"forward": made})
    rows = comparison.speedup_rows([CONV], list(seconds), "float32", rounds=3)
    assert [(row["seconds"], row["speedup"]) for row in rows] == [(5.0, 1.0), (2.0, 2.5)]


def test_the_data_are_the_same_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    made = comparison.forward_call

    def recorded(problem: Problem, data: Any, backend: str) -> Any:
        seen.append(data)
        return made(problem, data, backend)

    monkeypatch.setattr(comparison, "forward_call", recorded)
    comparison.measure(POOL, ["naive", "im2col_numpy"], "float32", rounds=1)
    assert seen[2] is seen[3]
    np.testing.assert_array_equal(seen[2]["x"], arrays(POOL, "float32")["x"])


def test_the_workloads_are_the_course_s() -> None:
    conv = comparison.course_problem("conv", 100)
    assert conv.shapes == {
        "x": (100, 3, 31, 31), "dout": (100, 25, 16, 16), "w": (25, 3, 3, 3), "b": (25,)
    }  # fmt: skip
    assert conv.parameters == {"stride": 2, "pad": 1, "groups": 1}
    pool = comparison.course_problem("pool", 100)
    assert pool.shapes == {"x": (100, 3, 32, 32), "dout": (100, 3, 16, 16)}
    assert pool.parameters == {"kernel": 2, "stride": 2, "pad": 0}


def test_a_row_has_the_ratio_of_medians_and_the_course_s_relative_error() -> None:
    slow = comparison.Timing([3.0, 2.0, 9.0], {"out": np.array([1.0, 0.0, -2.0])})
    fast = comparison.Timing([0.5], {"out": np.array([1.0, 0.0, -2.2])})
    row = comparison.comparison_row("conv", "forward", ("naive", slow), ("mine", fast))
    assert row["difference"] == {"out": pytest.approx(0.2 / 4.2)}
    assert (row["reference"], row["backend"], row["speedup"]) == ("naive", "mine", 6)


@pytest.mark.parametrize(
    ("factor", "text"),
    [(1.0, "1x"), (2816.4, "2,820x"), (0.0123, "0.0123x"), (121.5, "122x"), (99.96, "100x")],
)
def test_a_speed_is_no_power_of_ten(factor: float, text: str) -> None:
    assert comparison.times(factor) == text
