"""A solver's arguments and its state, refused in words."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from convkit import DataError, ParameterError, ShapeError
from convkit.training.checks import (
    check_at_least,
    check_same_arrays,
    first_loss_remark,
    images_and_labels,
    rising_loss_remark,
)

DATA = {"X_train": np.zeros((3, 1, 2, 2)), "y_train": [0, 1, 2], "X_val": [], "y_val": []}


def test_images_and_labels_are_arrays_of_one_length():
    X, y = images_and_labels(DATA, "train")
    assert X is DATA["X_train"]
    assert y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "part", "error", "message"),
    [
        (
            {},
            "test",
            ParameterError,
            "data lacks 'X_test'; it holds X_train, y_train, X_val, y_val",
        ),
        ({}, "val", ShapeError, "data: X_val (shape (0,)) and y_val (shape (0,)) must be N images"),
        ({"y_train": [0, 1]}, "train", ShapeError, "data: y_train (shape (2,)) must be 3 labels"),
        ({"y_train": [[0, 1]] * 3}, "train", ShapeError, "y_train (shape (3, 2)) must be 3 labels"),
    ],
)
def test_other_data_are_refused(changes, part, error, message):
    with pytest.raises(error, match=re.escape(message)):
        images_and_labels(DATA | changes, part)


def test_a_count_that_is_not_given_is_not_checked():
    check_at_least(1, num_epochs=None, batch_size=1, steps=np.int64(7))


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", np.float64(2)])
def test_a_count_is_an_integer_that_is_large_enough(value):
    message = re.escape(f"batch_size (={value!r}) must be an integer of at least 1")
    with pytest.raises(ParameterError, match=f"^{message}$"):
        check_at_least(1, num_epochs=2, batch_size=value)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "expected w of shape (2, 3) float32, found no such parameter"),
        ({"w": np.zeros((3, 2), "f4")}, "expected w of shape (2, 3) float32, found (3, 2) float32"),
        ({"w": np.zeros((2, 3))}, "expected w of shape (2, 3) float32, found (2, 3) float64"),
    ],
)
def test_arrays_of_another_model_are_refused(found, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        check_same_arrays({"w": np.zeros((2, 3), "f4")}, found)


def test_a_parameter_too_many_is_refused_too():
    w = np.zeros(2)
    check_same_arrays({"w": w}, {"w": w + 1})
    with pytest.raises(DataError, match=r"expected v of shape no such parameter, found \(2,\)"):
        check_same_arrays({"w": w}, {"w": w, "v": w})


def test_a_first_loss_beyond_three_times_that_of_equal_scores_is_remarked_on():
    assert first_loss_remark(159.2, 10) == (
        "The first loss is 159.2, where equal scores give ln(10) = 2.3: the images' scale, or that "
        "of the first weights, does not suit this network."
    )
    assert first_loss_remark(3 * np.log(10) + 0.01, 10) is not None
    for loss, classes in (
        (3 * np.log(10) - 0.01, 10),
        (0.0, 10),
        (5.0, 1),
        (np.inf, 3),
        (np.nan, 3),
    ):
        assert first_loss_remark(loss, classes) is None


@pytest.mark.parametrize(
    ("losses", "rose"),
    [
        ([2.0, 3.0, 4.1], True),
        ([2.0, 9.0, 4.0], False),
        ([2.0, *[1e9] * 5, *[1.0] * 5], False),  # a stroke that is over
        ([2.0], False),
        ([], False),
        ([2.0, 9.0, math.inf], False),  # which has diverged, and is said to have
    ],
)
def test_a_loss_that_rose_is_remarked_on(losses, rose):
    remark = rising_loss_remark(losses)
    assert (remark is not None) == rose
    if rose:
        assert remark.startswith("The loss rose from 2 to 4.1: the network is not learning;")
