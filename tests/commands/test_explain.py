"""explain names the winner, who chose it, and why each other one lost."""

from __future__ import annotations

import json

import numpy as np
import pytest

import convkit
from convkit import cli, registry

SPEC = convkit.ConvSpec.of((8, 64, 56, 56), (64, 64, 3, 3), dtype="float32")
POOL = convkit.PoolSpec.of((8, 64, 54, 54), kind="max", kernel=2, dtype="float32")

EXPLAIN = ("explain", "--op")


def test_winner_source_and_the_reasons_of_the_others():
    convkit.reload()  # other tests may have named backends of their own
    found = convkit.explain(SPEC, backend="naive")
    assert (found.winner, found.source, found.request) == (
        "naive",
        "the backend argument",
        ("naive",),
    )
    reason = "the backend argument does not name it"
    assert dict(found.rejected) == {
        "cython": reason,
        "im2col_numpy": reason,
        "cython_fast": f"not loaded: {reason}, and auto takes built-in ones only",
    }
    with convkit.use_backend("conv=im2col_numpy,naive"):
        found = convkit.explain(SPEC)
        assert found.source == "use_backend"
        assert dict(found.rejected)["naive"] == "comes after im2col_numpy"
        assert convkit.explain(SPEC, POOL).source == "auto"
        assert convkit.explain(POOL).operation == "max_pool"


def test_it_has_no_effect_on_selection(site):
    site.install("good")
    code = """
from convkit import ConvSpec
before = states()
found = convkit.explain(ConvSpec.of(x, w))
result = [before, dict(found.rejected), states(), who()]
"""
    before, rejected, after, chosen = site.value(code)
    assert before["good"] == after["good"] == "advertised"
    assert rejected["good"].startswith("not loaded: auto does not name it")
    assert after["naive"] == "loaded"
    assert chosen == "cython"


def test_named_plugins_are_loaded_and_broken_ones_reported(site):
    site.install("good", body="    def supports(self, spec): return 'it is Monday'")
    site.install("bad", "raise RuntimeError('no licence')")
    code = """
from convkit import ConvSpec
found = convkit.explain(ConvSpec.of(x, w), backend='bad,good,naive')
result = [found.winner, dict(found.rejected), error(lambda: who(backend='bad,good'))]
"""
    winner, rejected, (kind, text) = site.value(code)
    assert winner == "naive"
    assert rejected["good"] == "it is Monday"
    assert rejected["bad"] == "RuntimeError: no licence"
    assert kind == "BackendUnsupportedError"
    assert "not good: it is Monday" in text
    assert "not bad: RuntimeError: no licence" in text


def test_selection_errors_print_the_same_object(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: "it is tired")
    x, w = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
    with pytest.raises(convkit.BackendUnsupportedError) as caught:
        convkit.conv(x, w, pad=3, backend="naive")
    assert str(caught.value).endswith(str(caught.value.selection))
    assert caught.value.selection.winner is None


def test_a_supports_that_raises_is_a_reason_here_and_an_error_in_a_call(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: 1 / 0)
    found = convkit.explain(SPEC, backend="naive,im2col_numpy")
    assert found.winner == "im2col_numpy"
    assert "raised ZeroDivisionError in supports" in dict(found.rejected)["naive"]
    with pytest.raises(convkit.BackendCallError, match="in supports"):
        convkit.max_pool(np.ones((1, 1, 7, 7)), kernel=7, backend="naive,im2col_numpy")


def test_the_command_prints_the_same(capsys):
    line = [
        "explain",
        "--op",
        "conv",
        "--x",
        "8,64,56,56",
        "--w",
        "64,64,3,3",
        "--no-bias",
        "--backend",
        "naive",
    ]
    assert cli.run(line) == 0
    assert capsys.readouterr().out.strip() == str(convkit.explain(SPEC, backend="naive"))
    assert cli.run([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == convkit.explain(SPEC, backend="naive").to_dict()
    assert cli.run([*EXPLAIN, "max_pool", "--x=8,64,54,54", "--kernel=2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problem"] == str(POOL)
    fused = [
        "explain",
        "--op",
        "conv_relu_pool",
        "--x",
        "8,64,56,56",
        "--w",
        "64,64,3,3",
        "--kernel",
        "2",
        "--json",
    ]
    assert cli.run(fused) == 0
    assert json.loads(capsys.readouterr().out)["operation"] == "conv_relu_pool"


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("--op conv --x 1,2,3,3", 2, "--w is needed"),
        ("--op max_pool --x 1,2,3,3 --kernel 2 --w 1,1,1,1", 2, "--w does not belong"),
        ("--op conv --x 1,a,3,3 --w 1,1,1,1", 2, "must be ints"),
        ("--op conv --x 1,2,3,3 --w 1,1,1,1", 1, "w.shape[1]"),
        ("--op conv --x 1,1,3,3 --w 1,1,1,1 --backend navie", 2, "did you mean 'naive'"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(capsys, line, status, message):
    assert cli.run(["explain", *line.split()]) == status
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
