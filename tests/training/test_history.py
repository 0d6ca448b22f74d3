"""The history as CSV: its columns, exact numbers, refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import DataError
from convkit.training.history import History, Row

ROWS = [
    Row(1, 0, 2.302585092994046, 0.1, 0.125),
    Row(2, 0, 0.1 + 0.2),
    Row(3, 1, float("inf"), 1 / 3, 2 / 3),
]


def test_what_is_written(tmp_path):
    History(ROWS).to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text() == (
        "iteration,epoch,loss,train_acc,val_acc\n"
        "1,0,2.302585092994046,0.1,0.125\n"
        "2,0,0.30000000000000004,,\n"
        "3,1,inf,0.3333333333333333,0.6666666666666666\n"
    )


def test_it_comes_back_to_the_bit(tmp_path):
    History(ROWS).to_csv(tmp_path / "h.csv")
    assert History.from_csv(tmp_path / "h.csv").rows == ROWS


def test_numpy_numbers_are_written_as_numbers(tmp_path):
    History([Row(1, 0, np.float64(0.5))]).to_csv(tmp_path / "h.csv")
    assert History.from_csv(tmp_path / "h.csv").rows == [Row(1, 0, 0.5)]


def test_the_columns_as_lists():
    history = History(ROWS)
    assert history.losses[1:] == [0.1 + 0.2, float("inf")]
    assert history.accuracy_iterations == [1, 3]
    assert history.train_accs == [0.1, 1 / 3]
    assert history.val_accs == [0.125, 2 / 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the first line must be iteration,epoch,loss,train_acc,val_acc, found ''"),
        (
            b"a,b\n1,2\n",
            "the first line must be iteration,epoch,loss,train_acc,val_acc, found 'a,b'",
        ),
        (
            b"iteration,epoch,loss,train_acc,val_acc\n1,0,2.5,,\n2,x,2.4,,\n",
            "line 3 must hold 5 numbers, found '2,x,2.4,,'",
        ),
        (
            b"iteration,epoch,loss,train_acc,val_acc\n1,0,2.5\n",
            "line 2 must hold 5 numbers, found '1,0,2.5'",
        ),
        (b"\xff\xfe", "cannot be read as a history"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    path = tmp_path / "h.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
        History.from_csv(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: cannot be read as a history"):
        History.from_csv(tmp_path / "none.csv")


def test_the_history_under_keras_s_names():
    rows = [
        Row(1, 0, 4.0, 0.1, 0.2),
        Row(2, 1, 2.0, 0.3, 0.4),
        Row(3, 1, 1.0),
        Row(4, 2, 2.0, 0.5, 0.6),
        Row(5, 2, 7.0),
    ]
    assert History(rows).history == {
        "loss": [3.0, 1.5, 7.0],
        "accuracy": [0.3, 0.5],
        "val_accuracy": [0.4, 0.6],
    }
    one_step_an_epoch = [Row(1, 1, 3.0, 0.1), Row(2, 2, 1.0, 0.2)]
    assert History(one_step_an_epoch).history == {
        "loss": [3.0, 1.0],
        "accuracy": [0.1, 0.2],
        "val_accuracy": [],
    }
