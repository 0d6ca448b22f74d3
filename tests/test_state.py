"""The state of the process: generations and epochs, the table of plans, variables read once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import convkit
from convkit import state


@pytest.fixture(autouse=True)
def _fresh() -> None:
    convkit.reload()


def test_a_change_begins_a_generation_and_forgets_every_plan() -> None:
    before = state.generation
    state.keep_plan("key", "plan", before)
    assert state.plans == {"key": "plan"}
    state.changed()
    assert state.generation == before + 1
    assert state.plans == {}


def test_a_plan_of_an_earlier_generation_is_not_kept() -> None:
    made_in = state.generation
    state.changed()
    state.keep_plan("key", "plan", made_in)
    assert state.plans == {}


def test_a_full_table_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_PLANS", 3)
    for number in range(3):
        state.keep_plan(number, "plan", state.generation)
    assert set(state.plans) == {0, 1, 2}
    state.keep_plan(3, "plan", state.generation)
    assert set(state.plans) == {3}


def test_a_reload_begins_an_epoch_and_a_generation() -> None:
    epoch, generation = state.epoch, state.generation
    state.reloaded()
    assert state.epoch == epoch + 1
    assert state.generation > generation


def test_variables_are_read_once_in_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVKIT_BACKEND", " naive ")
    assert state.variable("CONVKIT_BACKEND") == "naive"
    monkeypatch.setenv("CONVKIT_BACKEND", "cython")
    assert state.variable("CONVKIT_BACKEND") == "naive"
    state.reloaded()
    assert state.variable("CONVKIT_BACKEND") == "cython"
    assert state.variable("CONVKIT_NOT_SET") == ""


def test_whatever_decides_which_backend_computes_begins_a_generation() -> None:
    def generations() -> Iterator[int]:
        yield state.generation
        convkit.set_default_backend("naive")
        yield state.generation
        convkit.set_default_backend(None)
        yield state.generation
        with convkit.trace("dispatch"):
            yield state.generation
        yield state.generation
        convkit.reload()
        yield state.generation

    found = list(generations())
    assert found == sorted(set(found))


def test_the_lock_may_be_taken_again_by_its_holder_only() -> None:
    taken: list[bool] = []
    with state.lock:
        state.changed()  # takes it again
        thread = threading.Thread(target=lambda: taken.append(state.lock.acquire(blocking=False)))
        thread.start()
        thread.join()
    assert taken == [False]
