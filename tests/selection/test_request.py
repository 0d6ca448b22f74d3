"""What a choice says: names, lists, mappings, objects; and what cannot be read."""

from __future__ import annotations

import pytest
from small_calls import W, X, pool, variable, who

import convkit
from convkit import registry


@pytest.mark.parametrize("text", ["", "  ", ",", ";", "conv=", "conv=;max_pool= , "])
def test_blank_is_unset(monkeypatch, text):
    variable(monkeypatch, text)
    assert convkit.explain(convkit.ConvSpec.of(X, W)).source == "auto"


@pytest.mark.parametrize("text", ["Im2col-NumPy", " IM2COL_NUMPY "])
def test_case_and_dashes_are_folded(monkeypatch, text):
    variable(monkeypatch, text)
    assert who() == "im2col_numpy"


@pytest.mark.parametrize(
    "choice",
    [
        "conv=naive,im2col_numpy;max_pool=im2col_numpy",
        "CONV = naive ; max-pool = im2col_numpy",
        {"conv": "naive,im2col_numpy", "max_pool": ["im2col_numpy"]},
        "im2col_numpy;conv=naive",
        {"*": "im2col_numpy", "conv": "naive"},
    ],
)
def test_each_operation_has_its_own_choice(monkeypatch, choice):
    with convkit.use_backend(choice):
        assert (who(), pool()) == ("naive", "im2col_numpy")
    convkit.set_default_backend(choice)
    assert (who(), pool()) == ("naive", "im2col_numpy")
    convkit.set_default_backend(None)
    if isinstance(choice, str):
        variable(monkeypatch, choice)
        assert (who(), pool()) == ("naive", "im2col_numpy")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("conw=naive", "names the operation 'conw'.*did you mean 'conv'"),
        ("naive;im2col_numpy", "chooses for all others twice"),
        ("conv=naive;conv=naive", "chooses for 'conv' twice"),
        ({1: "naive"}, "names the operation 1"),
        (3, "must be a backend's name"),
    ],
)
def test_a_choice_that_cannot_be_read_says_why(choice, message):
    with pytest.raises(convkit.ParameterError, match=message):
        convkit.use_backend(choice)


def test_module_object_and_objects_are_accepted():
    name = "convkit_naive:Naive"
    own = registry.load("naive").backend
    assert who(backend=f"{type(own).__module__}:{type(own).__name__}").startswith("convkit_naive:")
    assert who(backend=own) == "naive", name
    with convkit.use_backend([own, "im2col_numpy"]):
        assert who() == "naive"
    with convkit.use_backend({"conv": own}):
        assert who() == "naive"
    convkit.set_default_backend(own)
    assert who() == "naive"
