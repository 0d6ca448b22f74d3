"""One family of errors, each public, and of the built-in kind that callers catch."""

from __future__ import annotations

import inspect
import pickle

import pytest

import convkit
from convkit import errors

CLASSES = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if error.__module__ == errors.__name__
]


@pytest.mark.parametrize("error", CLASSES)
def test_it_is_public_documented_and_of_the_family(error: type[Exception]) -> None:
    assert getattr(convkit, error.__name__) is error
    assert error.__name__ in convkit.__all__
    assert issubclass(error, convkit.ConvkitError)
    assert error.__doc__


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.ShapeError, ValueError),
        (errors.ParameterError, ValueError),
        (errors.CacheError, ValueError),
        (errors.DataError, ValueError),
        (errors.DtypeError, TypeError),
        (errors.BackendNotFoundError, errors.SelectionError),
        (errors.BackendLoadError, errors.SelectionError),
        (errors.BackendUnsupportedError, errors.SelectionError),
    ],
)
def test_it_is_of_the_kind_that_callers_catch(
    error: type[Exception], kind: type[Exception]
) -> None:
    assert issubclass(error, kind)


@pytest.mark.parametrize("error", CLASSES)
def test_it_goes_to_another_process(error: type[Exception]) -> None:
    again = pickle.loads(pickle.dumps(error("text")))
    assert type(again) is error
    assert str(again) == "text"


def test_what_was_selected_goes_along() -> None:
    with pytest.raises(convkit.BackendNotFoundError) as caught:
        convkit.max_pool([[[1.0, 2.0]]], kernel=1, backend="nowhere")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.backend == "nowhere"
    assert again.selection == caught.value.selection
