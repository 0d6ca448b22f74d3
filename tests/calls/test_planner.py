"""Plans are made once, kept in a bounded table, and forgotten when anything changes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from planted_backend import every_call, planted
from small_calls import W, X

import convkit
from convkit import state
from convkit.calls import planner


def test_the_table_is_bounded(monkeypatch):
    monkeypatch.setattr(state, "MAX_PLANS", 8)
    for n in range(1, 40):
        convkit.max_pool(np.ones((n, 1, 2, 2), "f4"), kernel=2)
        assert len(planner.table) <= 8 or n == 1


def test_a_plan_whose_making_something_overtook_is_used_once_and_not_stored(monkeypatch):
    select = planner.select

    def overtaken(*args):
        state.changed()
        return select(*args)

    monkeypatch.setattr(planner, "select", overtaken)
    assert convkit.max_pool(np.ones((1, 1, 2, 2), "f4"), kernel=2).shape == (1, 1, 1, 1)
    assert not planner.table


def test_many_threads_use_the_table_at_once(monkeypatch):
    monkeypatch.setattr(state, "MAX_PLANS", 16)
    failures = []

    def work(seed):
        try:
            for n in np.random.default_rng(seed).integers(1, 40, 300):
                assert convkit.max_pool(np.ones((n, 1, 2, 2), "f4"), kernel=2).shape[0] == n
                if n == 7:
                    convkit.set_default_backend(None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_variable_verifies_every_call(monkeypatch, rng):
    monkeypatch.setenv("CONVKIT_VERIFY", "naive")
    convkit.reload()
    with pytest.raises(convkit.VerifyError):
        every_call(rng, planted("dw"), "f4")
    monkeypatch.setenv("CONVKIT_VERIFY", "navie")
    convkit.reload()
    with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'"):
        convkit.max_pool(np.ones((1, 1, 2, 2)), kernel=2)


def test_nothing_is_watched_when_off():
    convkit.trace("profile")
    convkit.trace("off")
    plan = convkit.conv_forward(X, W, backend="naive")[1].plan
    convkit.reload()
    # what runs is the backend's own method, not something around it
    backend = plan.record.backend
    plan = planner.make_plan(
        plan.operation, plan.specs, plan.record, generation=state.generation, scope=None
    )
    assert plan.forward == backend.conv_forward
    assert plan.backward == backend.conv_backward
