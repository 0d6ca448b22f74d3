"""One call is timed warm and often enough. No test asserts a time."""

from __future__ import annotations

import pytest

from convkit.bench import timing


@pytest.mark.parametrize(
    ("first", "later", "warm_up", "timed"),
    [
        pytest.param(0.003, 0.001, 2, 4, id="the first call is slow"),
        pytest.param(0.1, 0.1, 1, 1, id="a long call needs no second one"),
        pytest.param(0.003, 0.003, 2, 1, id="as long as can be told"),
    ],
)
def test_what_a_cold_start_takes_does_not_count(
    monkeypatch: pytest.MonkeyPatch, first: float, later: float, warm_up: int, timed: int
) -> None:
    now, calls = 0.0, 0

    def call() -> None:
        nonlocal now, calls
        now += later if calls else first
        calls += 1

    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.00401)  # sums of floats round
    assert timing.seconds_per_call(call) == pytest.approx(later)
    assert calls == warm_up + timed


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [pytest.param(0.1, 1, id="long: the first counts"), pytest.param(0.003, 3, id="short")],
)
def test_a_long_call_that_was_warmed_up_is_made_once(
    monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
) -> None:
    now, made = 0.0, 0

    def call() -> None:
        nonlocal now, made
        now += seconds
        made += 1

    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.00401)  # sums of floats round
    assert timing.seconds_per_call(call, warm=True) == pytest.approx(seconds)
    assert made == calls


def test_every_item_comes_first_in_turn() -> None:
    assert [timing.rotated("abc", number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert timing.rotated([], 3) == []
