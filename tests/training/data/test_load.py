"""The loader is chosen by name or path."""

from __future__ import annotations

from data_cases import error_of

from convkit.training.data import load_data


def test_names_and_paths_that_are_neither(tmp_path):
    expected = "expected digits, cifar10, an .npz file or a folder of class folders"
    assert error_of(load_data, "mnist") == f"data 'mnist': {expected}, found nothing there"
    (tmp_path / "a.csv").touch()
    path = str(tmp_path / "a.csv")
    assert error_of(load_data, path) == f"data {path!r}: {expected}, found a .csv"
