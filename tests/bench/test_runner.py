"""A run has every row, and divides its rounds among the sweeps."""

from __future__ import annotations

from typing import Any

import pytest
from bench_cases import SMALL_ONES

from convkit.bench import problems, runner, subjects, timing
from convkit.bench.problems import Problem

pytestmark = pytest.mark.long


@pytest.mark.parametrize("problem", SMALL_ONES, ids=lambda p: p.name)
def test_a_run_has_a_row_for_every_subject_and_way(problem: Problem) -> None:
    taking_part = [subjects.Ours("im2col_numpy"), subjects.Ours("naive")]
    (rows,) = runner.run([problem], taking_part, ["float64"], 1, timing.Effort(2, 0.01))
    assert {(row.subject, row.direction) for row in rows} == {
        (name, direction) for name in ("im2col_numpy", "naive") for direction in problem.directions
    }
    for row in rows:
        assert row.seconds > 0
        assert row.gflops == pytest.approx(problem.operations(row.direction) / row.seconds / 1e9)
        assert row.copy_share > 0


def test_sweeps_share_out_the_rounds_of_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, int]] = []
    take = timing.Measurement.take

    def noted(self: Any, turns: range, seconds: float) -> None:
        taken.extend((self.problem.name, turn) for turn in turns)
        take(self, turns, seconds)

    monkeypatch.setattr(timing.Measurement, "take", noted)
    steps: list[str] = []
    wanted = [problems.SHAPES["tiny"], problems.SHAPES["tiny"].with_(name="other")]
    effort = timing.Effort(rounds=3, seconds=0.01, sweeps=2)
    parts = list(
        runner.run(
            wanted, [subjects.Ours("naive")], ["float64"], 1, effort, ("dx",),
            on_step=lambda problem, dtype: steps.append(f"{problem.name} {dtype}"),
        )
    )  # fmt: skip
    assert taken == [
        ("tiny", 0),
        ("other", 0),
        ("tiny", 1),
        ("tiny", 2),
        ("other", 1),
        ("other", 2),
    ]
    assert steps == ["tiny float64", "other float64"] * 2
    assert [row.problem for part in parts for row in part] == ["tiny", "other"]
