"""Schedules of the learning rate."""

from __future__ import annotations

import math

import pytest

from convkit import ParameterError
from convkit.training.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    OneCycle,
    Step,
    check_warm_up,
    make_schedule,
)


def test_constant_and_warm_up():
    assert [Constant()(step, 5) for step in range(5)] == [1] * 5
    assert [Constant(warm_up=3)(step, 5) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]


def test_step_divides_by_ten_at_half_and_three_quarters():
    assert [Step()(step, 8) for step in range(8)] == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)
    assert [Step(factor=0.5, at=(0.25,))(step, 4) for step in range(4)] == [1, 0.5, 0.5, 0.5]


def test_cosine():
    factors = [Cosine()(step, 8) for step in range(8)]
    assert factors == pytest.approx([(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)])
    # After a warm-up the rest of the run is the whole cosine.
    warm = [Cosine(warm_up=2)(step, 10) for step in range(10)]
    assert warm == pytest.approx([1 / 3, 2 / 3, *factors])


def test_one_cycle_is_pytorch_s():
    """The numbers of torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)."""
    one = OneCycle()
    rates = [0.1 * one(step, 10) for step in range(10)]
    assert rates == pytest.approx(
        [0.004, 0.052, 0.1, 0.09504846, 0.08117456, 0.0611261, 0.0388743, 0.01882584, 0.00495194,
         4e-7], rel=1e-5,
    )  # fmt: skip
    momenta = [one.momentum(step, 10) for step in range(10)]
    assert momenta[:3] == pytest.approx([0.95, 0.9, 0.85])
    assert momenta[-1] == pytest.approx(0.95)
    assert momenta[5] == pytest.approx(0.85 + 0.1 * (0.1 - rates[5]) / (0.1 - 4e-7), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_factor_is_in_0_to_1(name, steps):
    schedule = make_schedule(name)
    assert all(0 <= schedule(step, steps) <= 1 for step in range(steps))
    # One more step than was planned, as where a run is taken up and shortened, still has a number.
    assert 0 <= schedule(steps, steps) <= 1


def test_the_top_of_one_cycle_is_where_the_warm_up_ends():
    assert [OneCycle(warm_up=4)(step, 20) for step in (0, 3)] == [pytest.approx(0.04), 1]
    assert OneCycle(warm_up=0)(0, 20) < 1


def test_names_and_functions():
    assert make_schedule(None) is None
    assert make_schedule("one-cycle") == OneCycle()
    assert make_schedule("cosine", 7) == Cosine(warm_up=7)
    assert make_schedule(max) is max
    with pytest.raises(ParameterError, match=r"^schedule \(='linear'\) must be one of const"):
        make_schedule("linear")


def test_a_warm_up_ends_within_the_run():
    check_warm_up(Cosine(warm_up=4), 5)
    check_warm_up(Cosine(warm_up=4), 0)
    check_warm_up(None, 5)
    check_warm_up(max, 5)
    with pytest.raises(ParameterError, match=r"^warm_up \(=5\) must be less than the number"):
        check_warm_up(Cosine(warm_up=5), 5)
    with pytest.raises(ParameterError, match=r"^warm_up \(=0\.5\) must be an integer"):
        check_warm_up(Cosine(warm_up=0.5), 5)
