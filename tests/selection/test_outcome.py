"""The outcome of a selection, as text, as data and inside errors."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import convkit
from convkit import registry
from convkit.selection.outcome import Selection

SPEC = convkit.ConvSpec.of((8, 64, 56, 56), (64, 64, 3, 3), dtype="float32")


def test_selection_errors_print_the_same_object(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: "it is tired")
    x, w = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
    with pytest.raises(convkit.BackendUnsupportedError) as caught:
        convkit.conv(x, w, pad=3, backend="naive")
    assert str(caught.value).endswith(str(caught.value.selection))
    assert caught.value.selection.winner is None


def test_it_reads_as_a_line_for_the_winner_and_one_for_each_other():
    record = registry.find("naive")
    outcome = Selection("conv(...)", "conv", "naive", "use_backend", ("cython", "naive"),
                        (("cython", "it is tired"),), record)  # fmt: skip
    assert str(outcome) == (
        "conv(...): naive (chosen by use_backend: cython,naive)\n  not cython: it is tired"
    )
    lost = outcome._replace(winner=None, rejected=())
    assert str(lost) == "conv(...): no backend (chosen by use_backend: cython,naive)"


def test_as_json_it_holds_everything_but_the_record():
    outcome = convkit.explain(SPEC, backend="im2col_numpy,naive")
    found = json.loads(json.dumps(outcome.to_dict()))
    assert set(found) == set(Selection._fields) - {"record"}
    assert found["winner"] == "im2col_numpy"
    assert found["request"] == ["im2col_numpy", "naive"]
    assert found["rejected"] == dict(outcome.rejected)


def test_pickled_it_leaves_the_record_in_its_process():
    outcome = convkit.explain(SPEC, backend="naive")
    assert outcome.record is registry.load("naive")
    again = pickle.loads(pickle.dumps(outcome))
    assert again.record is None
    assert again == outcome._replace(record=None)
