"""Which candidate wins, why each other one loses, and what is raised where none does."""

from __future__ import annotations

import numpy as np
import pytest
from small_calls import W, X, variable, who

import convkit
from convkit import registry


def test_a_typo_is_an_error_at_first_use_with_a_suggestion(monkeypatch):
    variable(monkeypatch, "navie")
    with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'") as caught:
        who()
    assert "chosen by CONVKIT_BACKEND" in str(caught.value)


@pytest.mark.parametrize("text", ["naive,navie", "conv=naive;max_pool=navie"])
@pytest.mark.parametrize("level", ["argument", "variable"])
def test_no_fallback_and_no_other_operation_hides_a_typo(monkeypatch, text, level):
    keywords = {"backend": text} if level == "argument" else {}
    if level == "variable":
        variable(monkeypatch, text)
    with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'") as caught:
        who(**keywords)
    assert caught.value.backend == "navie"
    assert caught.value.selection.winner is None
    assert caught.value.selection.rejected == (("navie", "is not installed"),)
    assert str(caught.value).endswith(str(caught.value.selection))


def test_a_list_is_the_one_way_to_allow_a_fallback(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: "it is tired")
    assert who(backend="naive,im2col_numpy") == "im2col_numpy"
    with pytest.raises(convkit.BackendUnsupportedError) as caught:
        who(backend="naive")
    assert str(caught.value).splitlines()[0] == (
        f"backend 'naive' does not support {convkit.ConvSpec.of(X, W)}: it is tired; name another "
        "one, or a comma list to allow a fallback"
    )
    assert caught.value.selection.rejected == (("naive", "it is tired"),)
    with pytest.raises(convkit.BackendNotFoundError, match="nowhere"):
        who(backend="im2col_numpy,nowhere")


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"CONVKIT_ISA": "mmx"}, True),
        ({"CONVKIT_ISA": "mmx", "CONVKIT_BACKEND": "auto"}, True),
        ({"CONVKIT_ISA": "mmx", "CONVKIT_BACKEND": "cython,im2col_numpy"}, False),
        ({"CONVKIT_ISA": "mmx", "CONVKIT_BACKEND": "im2col_numpy"}, False),
        ({"CONVKIT_DISABLE": "cython"}, False),
    ],
)
def test_auto_says_once_that_it_had_to_go_past_a_broken_backend(site, variables, warned):
    pytest.importorskip("convkit_cython")
    found = site.value(
        """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("default")
    used = [convkit.max_pool_forward(np.ones((n, 1, 2, 2)), kernel=2)[1].backend for n in (1, 2)]
result = used, [[w.category.__name__, str(w.message)] for w in seen]
""",
        **variables,
    )
    assert found[0] == ["im2col_numpy"] * 2
    assert len(found[1]) == warned
    for category, text in found[1]:
        assert category == "RuntimeWarning"
        assert text.startswith("auto takes backend 'im2col_numpy', for 'cython' cannot be loaded: ")
        assert "CONVKIT_ISA (='mmx')" in text


SPEC = convkit.ConvSpec.of((8, 64, 56, 56), (64, 64, 3, 3), dtype="float32")

POOL = convkit.PoolSpec.of((8, 64, 54, 54), kind="max", kernel=2, dtype="float32")


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


def test_a_supports_that_raises_is_a_reason_here_and_an_error_in_a_call(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: 1 / 0)
    found = convkit.explain(SPEC, backend="naive,im2col_numpy")
    assert found.winner == "im2col_numpy"
    assert "raised ZeroDivisionError in supports" in dict(found.rejected)["naive"]
    with pytest.raises(convkit.BackendCallError, match="in supports"):
        convkit.max_pool(np.ones((1, 1, 7, 7)), kernel=7, backend="naive,im2col_numpy")


@pytest.mark.parametrize("answer", [True, False, "", 1])
def test_supports_must_answer_none_or_a_reason(double, answer):
    double.supports = lambda self, spec: answer
    with pytest.raises(convkit.BackendResultError, match="supports must return None"):
        convkit.conv(X, W, backend=double())
