"""Weights are read back as they were written; other files are rejected."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import DataError
from convkit.tensors import load_weights, save_weights


def test_weights_come_back(tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "empty": np.zeros((0, 4)),
        "without axes": np.array(3.0),
    }
    save_weights(tmp_path / "w.safetensors", arrays, {"model": "three_layer"})
    loaded, metadata = load_weights(tmp_path / "w.safetensors")
    assert metadata == {"model": "three_layer"}
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
        assert loaded[name].dtype == array.dtype


def test_loaded_weights_are_the_caller_s_own(tmp_path):
    save_weights(tmp_path / "w", {"a": np.ones(3)})
    loaded, metadata = load_weights(tmp_path / "w")
    loaded["a"] += 1
    assert metadata == {}
    assert load_weights(tmp_path / "w")[0]["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("cut", [0, 5, 60, -1])
def test_a_broken_file_is_refused(tmp_path, cut):
    path = tmp_path / "w"
    save_weights(path, {"a": np.ones(30)})
    path.write_bytes(path.read_bytes()[:cut])
    pattern = re.escape(f"{path}: expected a safetensors file of weights, found ") + "[^\n]+$"
    with pytest.raises(DataError, match=pattern):
        load_weights(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none: there is no such file; expected a safetensors"):
        load_weights(tmp_path / "none")
