"""The peer gives right results."""

from __future__ import annotations

import numpy as np
import pytest
from bench_cases import SMALL_ONES

from convkit.bench import check, subjects
from convkit.bench.problems import Problem, arrays


def test_the_peer_gives_right_answers() -> None:
    pytest.importorskip("torch")
    for problem in SMALL_ONES:
        check.reject_wrong(problem, [subjects.Torch()], "float32")


@pytest.mark.parametrize("name", ["im2col_numpy", "torch"])
@pytest.mark.parametrize("problem", SMALL_ONES, ids=lambda p: p.name)
def test_each_direction_computes_its_gradients_and_no_other(problem: Problem, name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    chosen = ([], name) if name == "torch" else ([name], None)
    (subject,) = subjects.subjects(*chosen)
    data = arrays(problem, "float64")
    found = {direction: call() for direction, call in subject.calls(problem, data).items()}
    assert list(found) == list(problem.directions)
    for direction, results in found.items():
        assert tuple(results) == (problem.gradients(direction) or ("out",))
        for gradient, value in results.items():
            whole = found["forward" if gradient == "out" else "backward"][gradient]
            np.testing.assert_allclose(value, whole, rtol=1e-12, atol=1e-12)


def test_the_peer_takes_no_padding_that_is_not_a_number() -> None:
    pytest.importorskip("torch")
    same = Problem("s", "conv", (1, 1, 4, 4), 1, 3, 1, "same")
    assert subjects.Torch().why_not(same, "float32") == "its padding is not a number"
    assert subjects.Torch().why_not(same.with_(pad=1), "float32") is None
