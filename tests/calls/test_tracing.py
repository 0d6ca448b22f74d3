"""Trace lines and observers: structured, switchable, harmless, and absent when off."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import numpy as np
import pytest

import convkit
from convkit import registry, state
from convkit.contract import hookimpl

X = np.ones((1, 3, 8, 8), "f4")
W = np.ones((4, 3, 3, 3), "f4")


@pytest.fixture(autouse=True)
def _off(monkeypatch):
    monkeypatch.delenv("CONVKIT_TRACE", raising=False)
    convkit.reload()


def events(caplog):
    return [json.loads(r.getMessage()) for r in caplog.records if r.name == "convkit.trace"]


def test_a_line_per_decision_and_per_call(caplog):
    with convkit.trace("dispatch,profile"):
        _, cache = convkit.conv_forward(X, W, backend="naive")
        convkit.conv_forward(X, W, backend="naive")
        convkit.conv_backward(np.ones((1, 4, 6, 6), "f4"), cache)
    found = [(e["event"], e.get("step")) for e in events(caplog)]
    assert found == [
        ("dispatch", None),
        ("call", "forward"),
        ("call", "forward"),
        ("call", "backward"),
    ]
    decision, call, *_ = events(caplog)
    assert decision["winner"] == call["backend"] == "naive"
    assert decision["source"] == "the backend argument"
    assert call["operation"] == "conv"
    assert call["seconds"] > 0
    assert call["error"] is None


def test_lines_are_filtered_by_operation_and_switchable(caplog):
    convkit.conv(X, W)
    convkit.trace("profile", operations=["max_pool"])
    convkit.conv(X, W)
    convkit.max_pool(X, kernel=2)
    convkit.trace("off")
    convkit.max_pool(X, kernel=2)
    assert [e["operation"] for e in events(caplog)] == ["max_pool"]


def test_an_old_cache_is_traced_too(caplog):
    out, cache = convkit.max_pool_forward(X, kernel=2)
    with convkit.trace("profile"):
        convkit.max_pool_backward(out, cache)
    assert [e["step"] for e in events(caplog)] == ["backward"]


def test_the_variable_writes_json_to_stderr_and_nothing_to_stdout():
    code = "import convkit, numpy as np; convkit.max_pool(np.ones((1, 1, 4, 4)), kernel=2)"
    for text, lines in (("dispatch,profile", 2), ("profile,conv", 0), ("Profile, max-pool", 1)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"CONVKIT_TRACE": text},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == ""
        assert len([json.loads(line) for line in done.stderr.splitlines()]) == lines


def test_a_typo_is_an_error_at_first_use(monkeypatch):
    monkeypatch.setenv("CONVKIT_TRACE", "profil")
    convkit.reload()
    with pytest.raises(convkit.ParameterError, match="did you mean 'profile'"):
        convkit.conv(X, W)
    for wrong in (["conv"], ["nonsense"], []):
        with pytest.raises(convkit.ParameterError):
            convkit.trace(*wrong)


class Observer:
    def __init__(self, fails=False):
        self.calls = []
        self.fails = fails

    @hookimpl
    def convkit_call_finished(self, call):
        self.calls.append(call)
        convkit.max_pool(X, kernel=4)  # its own calls are not observed
        if self.fails:
            raise RuntimeError("observer is ill")


@pytest.fixture
def observe():
    registered = []

    def register(observer):
        convkit.register_observer(observer)
        registered.append(observer)
        return observer

    yield register
    for observer in registered:
        convkit.unregister_observer(observer)


def test_observers_see_every_call_and_one_that_raises_stops_nobody(observe, caplog):
    first, ill, last = observe(Observer()), observe(Observer(fails=True)), observe(Observer())
    convkit.conv(X, W, backend="naive")
    for observer in (first, ill, last):
        (call,) = observer.calls
        assert (call.operation, call.backend, call.error) == ("conv", "naive", None)
    logged = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "observer is ill" in str(logged[0].exc_info[1])


def test_observers_see_errors(observe, monkeypatch):
    observer = observe(Observer())
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "conv_forward", lambda *_: 1 / 0)
    with pytest.raises(convkit.BackendCallError):
        convkit.conv_forward(X, W, backend="naive")
    assert isinstance(observer.calls[0].error, ZeroDivisionError)


def test_registering_is_explicit_and_checked(observe):
    with pytest.raises(convkit.ParameterError, match="must have convkit_call_finished"):
        convkit.register_observer(object())
    observer = observe(Observer())
    with pytest.raises(convkit.ParameterError, match="is registered already"):
        convkit.register_observer(observer)
    with pytest.raises(convkit.ParameterError, match="is not registered"):
        convkit.unregister_observer(Observer())
    assert state.variable("CONVKIT_TRACE") == ""
