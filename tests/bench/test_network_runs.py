"""Sides in processes of their own: asked in turn, left out where they cannot, compared first."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from typing import Any

import pytest

from convkit.bench import network_runs, sides
from convkit.bench.check import WrongAnswerError
from convkit.bench.networks import NETWORKS
from convkit.bench.timing import Effort
from convkit.errors import ConvkitError, ParameterError

ANSWER = {"scores": [1.0, -4.0], "losses": [2.0, 1.5]}


class Sides:
    """In place of processes: what each side answers, and in which order they are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.asked: list[str] = []
        self.closed: list[str] = []
        outer = self

        class Fake:
            def __init__(self, what: str, name: str, threads: int) -> None:
                self.name = name

            def ask(self, what: str, *rest: Any) -> Any:
                if isinstance(answers[self.name], str):
                    raise ConvkitError(f"{self.name}: {answers[self.name]}")
                if what == "make":
                    return answers[self.name]
                outer.asked.append(self.name)
                return {"step": 0.1 * len(outer.asked)}

            def close(self) -> None:
                outer.closed.append(self.name)

        monkeypatch.setattr(sides, "Process", Fake)
        monkeypatch.setattr(network_runs, "PAUSE_SECONDS", 0)


def test_sides_take_turns_and_a_row_is_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Sides(monkeypatch, mine=ANSWER, torch=ANSWER)
    steps: list[str] = []
    found = network_runs.run(
        NETWORKS[:1], ["mine", "torch"], ["float32"], 2, Effort(rounds=3), steps.append
    )
    assert fakes.asked == ["mine", "torch", "torch", "mine", "mine", "torch"]
    assert [(row.subject, row.direction) for row in found.rows] == [
        ("mine", "step"), ("torch", "step")
    ]  # fmt: skip
    assert [row.seconds for row in found.rows] == pytest.approx([0.4, 0.3])
    assert [row.spread for row in found.rows] == pytest.approx([0.25, 1 / 3])
    assert steps == ["conv2 float32"]
    assert sorted(fakes.closed) == ["mine", "torch"]
    assert not found.left_out


def test_a_side_that_cannot_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Sides(monkeypatch, mine=ANSWER, other="RuntimeError: no compiler")
    found = network_runs.run(NETWORKS[:1], ["mine", "other"], ["float32"], 1, Effort(rounds=1))
    assert [row.subject for row in found.rows] == ["mine"]
    assert found.left_out == ["conv2 (float32) without other: RuntimeError: no compiler"]
    assert sorted(fakes.closed) == ["mine", "other"]
    with pytest.raises(ConvkitError, match=r"^no side has conv2 \(float32\): conv2 .* without"):
        network_runs.run(NETWORKS[:1], ["other"], ["float32"], 1, Effort(rounds=1))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"scores": [1.0, -4.1]}, "scores"),
        ({"losses": [2.1, 1.5]}, "losses"),
        ({"losses": [2.0, 1.501]}, None),
        ({"losses": [2.0, 1.499]}, None),
        ({"losses": [200.0, 199.0]}, "change of the loss"),
        ({"scores": [float("nan"), -4.0]}, "scores"),
    ],
)
def test_what_computes_something_else_is_not_timed(change: Any, what: str | None) -> None:
    answers: dict[str, Mapping[str, Any]] = {"torch": copy.deepcopy(ANSWER)}
    if what == "change of the loss":  # small beside the loss itself
        answers["torch"] = {**ANSWER, "losses": [200.0, 199.1]}
    answers["mine"] = {**ANSWER, **change}
    if what is None:
        network_runs.reject_wrong("net", "float32", answers)
        return
    said = f"net (float32) is not timed: mine and torch compute different {what}: ["
    with pytest.raises(WrongAnswerError, match="^" + re.escape(said)):
        network_runs.reject_wrong("net", "float32", answers)


def test_pytorch_takes_part_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_runs, "find_spec", lambda name: None)
    assert network_runs.peers(None, variants=False) == []
    message = r"^vs \(='torch'\) needs PyTorch; install it with: pip install torch$"
    with pytest.raises(ParameterError, match=message):
        network_runs.peers("torch", variants=False)
    with pytest.raises(ParameterError, match=r"^variants needs PyTorch"):
        network_runs.peers(None, variants=True)
    monkeypatch.setattr(network_runs, "find_spec", lambda name: os)
    assert network_runs.peers(None, variants=False) == ["torch"]
    assert network_runs.peers(None, variants=True) == [
        "torch", "torch channels_last", "torch compile"
    ]  # fmt: skip


def test_sides_are_compared_before_they_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Sides(monkeypatch, mine={**ANSWER, "scores": [1.0, 4.0]}, torch=ANSWER)
    with pytest.raises(WrongAnswerError, match=r"^conv2 \(float32\) is not timed: mine and torch"):
        network_runs.run(NETWORKS[:1], ["mine", "torch"], ["float32"], 1, Effort(rounds=1))
    assert fakes.asked == []
    assert sorted(fakes.closed) == ["mine", "torch"]
