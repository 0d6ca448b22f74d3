"""Layers timed in another process have the rows that they have here, and are checked there."""

from __future__ import annotations

from typing import Any

import pytest
from bench_cases import SMALL, SMALL_MAX

from convkit.bench import apart, runner, subjects, timing
from convkit.bench.check import WrongAnswerError
from convkit.bench.subjects import Ours
from convkit.contract import API_VERSION

pytestmark = pytest.mark.long


@pytest.mark.parametrize("problem", [SMALL, SMALL_MAX], ids=lambda p: p.name)
def test_a_run_apart_has_a_row_for_every_side_and_direction(problem: Any) -> None:
    taking_part: list[subjects.Subject] = [Ours("im2col_numpy"), Ours("naive")]
    with apart.apart(taking_part, 1) as sides:
        assert [side.name for side in sides] == ["im2col_numpy", "naive"]
        effort = timing.Effort(rounds=2, seconds=0.01, sweeps=2)
        (rows,) = runner.run([problem], sides, ["float64"], 1, effort)
    assert {(row.subject, row.direction) for row in rows} == {
        (name, direction) for name in ("im2col_numpy", "naive") for direction in problem.directions
    }
    assert all(row.seconds > 0 for row in rows)
    assert all(row.extra_bytes is None or row.extra_bytes >= 0 for row in rows)


class Wrong:
    """Right but for a maximum."""

    name, api_version = "wrong", API_VERSION

    def __init__(self) -> None:
        self.inner = Ours("naive").backend

    def supports(self, spec: Any) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def conv_forward(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
        out, saved = self.inner.conv_forward(spec, x, w, b)
        return out + 1, saved

    def conv_backward(self, *args: Any) -> Any:
        return self.inner.conv_backward(*args)

    def pool_forward(self, *args: Any) -> Any:
        return self.inner.pool_forward(*args)

    def pool_backward(self, *args: Any) -> Any:
        return self.inner.pool_backward(*args)


def test_what_the_process_gets_wrong_is_said_as_here(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = apart.Layers("naive", 1)
    layers.subject = Ours(Wrong())  # type: ignore[arg-type]
    given = {**vars(SMALL), "x_shape": list(SMALL.x_shape)}
    with pytest.raises(WrongAnswerError, match=r"^backend 'wrong' is not timed: its out of small"):
        layers.check(given, "float64", 1, "")
    layers.subject = Ours("naive")
    layers.check({**given, "name": "other"}, "float64", 1, "")
    layers.check({**given, "name": "other"}, "float64", 2, " after it was timed")
    assert [key[0].name for key in layers._checkers] == ["small"]


def test_a_run_lets_each_process_check_before_and_after() -> None:
    asked: list[tuple[Any, ...]] = []

    class Process:
        def ask(self, what: str, *rest: Any) -> Any:
            asked.append((what, *rest[2:]) if what == "check" else (what,))
            return 0.01

    side: Any = apart.Apart(Ours("naive"), Process())  # type: ignore[arg-type]
    list(runner.run([SMALL], [side], ["float32"], 1, timing.Effort(1, 0.01), ("dx",)))
    assert asked[:3] == [("set_num_threads",), ("check", 1, ""), ("begin",)]
    assert asked[3:] == [("seconds",), ("extra",), ("check", 2, " after it was timed")]
