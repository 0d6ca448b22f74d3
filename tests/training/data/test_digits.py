"""The handwritten digits: shapes, scaling, and parts that never overlap."""

from __future__ import annotations

import numpy as np
from data_cases import PARTS

from convkit.training.data import load_data, load_digits, picture


def test_digits():
    data = load_data("digits")
    assert data["X_train"].shape == (1258, 1, 8, 8)
    assert data["X_val"].shape == (180, 1, 8, 8)
    assert data["X_test"].shape == (359, 1, 8, 8)
    assert data["X_train"].dtype == np.float32
    assert data["y_train"].dtype == np.int64
    assert data["class_names"] == list("0123456789")
    assert np.abs(data["X_train"].mean(axis=0)).max() < 1e-6
    raw = picture(data, data["X_test"])
    assert (raw.min(), raw.max()) == (0, 255)


def test_digits_parts_do_not_overlap():
    data = load_digits(rng=3)
    rows = np.concatenate([data[f"X_{part}"].reshape(-1, 64) for part in PARTS])
    assert len(np.unique(rows, axis=0)) == 1797
    assert not np.array_equal(data["X_train"], load_digits(rng=4)["X_train"])
