"""Whether an object is a backend, answered with a sentence that says what to change."""

from __future__ import annotations

import pytest

from convkit import registry
from convkit.bounds import MAX_ERROR_FACTOR
from convkit.operations import OPERATIONS
from convkit.plugin_check import check_backend, optional_methods, required_methods


def test_every_bundled_backend_fits(backend):
    record = registry.load(backend)
    assert check_backend(record.backend, backend, record.owner) == ""


def test_a_backend_with_the_required_methods_alone_fits(double):
    assert check_backend(double()) == ""
    assert check_backend(double(), "double") == ""


@pytest.mark.parametrize("method", sorted(required_methods()))
def test_a_missing_method_is_named(double, method):
    setattr(double, method, None)
    assert check_backend(double()) == f"backend 'double' lacks {method}"


METHODS = required_methods() | optional_methods()
COMPOSED = [operation for operation in OPERATIONS.values() if not operation.required]


@pytest.mark.parametrize(("method", "arguments"), sorted(METHODS.items()))
def test_a_method_must_take_what_it_is_given(double, method, arguments):
    setattr(double, method, lambda *_: None)
    for operation in COMPOSED:  # forward and backward, or none
        pair = operation.method("forward"), operation.method("backward")
        for name in pair if method in pair else ():
            setattr(double, name, lambda *_: None)
    assert check_backend(double()) == ""
    setattr(double, method, lambda self, *, arguments: None)
    said = check_backend(double())
    assert said.startswith(f"backend 'double': {method}(")
    assert said.endswith(f"must take {arguments} positional arguments")


def test_what_has_no_signature_is_not_asked_for_one(double):
    class Compiled:
        __signature__ = "none that inspect can read"

        def __call__(self):
            pass

    double.conv_infer = double.supports = Compiled()
    assert check_backend(double()) == ""


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_non_empty_str(double, name):
    double.name = name
    assert check_backend(double()) == f"its name (={name!r}) must be a non-empty str"


def test_the_name_is_that_of_the_entry_point(double):
    double.name = "Dou-Ble"
    assert check_backend(double(), "dou_ble") == ""
    said = check_backend(double(), "double")
    assert said == "its name (='Dou-Ble') must equal its entry point's name 'double'"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (0, "is too old for convkit"),
        (2, "is too old for backend 'double' (some-package 3)"),
        ("1", "must state the api_version it was written for as an int"),
        (True, "must state the api_version it was written for as an int"),
        (None, "must state the api_version it was written for as an int"),
    ],
)
def test_the_version_of_the_contract_must_be_the_same(double, version, said):
    double.api_version = version
    assert said in check_backend(double(), owner="some-package 3")


@pytest.mark.parametrize("operation", COMPOSED, ids=lambda operation: operation.name)
@pytest.mark.parametrize(("has", "lacks"), [("forward", "backward"), ("backward", "forward")])
def test_a_composed_operation_has_both_methods_or_none(double, operation, has, lacks):
    has, lacks = operation.method(has), operation.method(lacks)
    setattr(double, has, lambda *_: None)
    said = f"backend 'double' has {has}, so it must have {lacks} too"
    assert check_backend(double()) == said


@pytest.mark.parametrize("factor", [0, 0.5, MAX_ERROR_FACTOR + 1, float("nan"), "2", None])
def test_an_error_factor_is_a_number_within_reason(double, factor):
    double.error_factor = factor
    assert check_backend(double()) == (
        f"its error_factor (={factor!r}) must be a number from 1 to {MAX_ERROR_FACTOR}"
    )
    double.error_factor = MAX_ERROR_FACTOR
    assert check_backend(double()) == ""
