"""Arrays that are not in memory: what is asked of them, and that a run on them is the same run."""

from __future__ import annotations

import numpy as np
import pytest
from data_sources import OnlyIndices

from convkit import ShapeError
from convkit.models import ThreeLayerConvNet
from convkit.training.arrays import Indexed, in_memory, positions, source
from convkit.training.solver import Solver

ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


def make_data():
    rng = np.random.default_rng(0)
    shapes = {"train": 20, "val": 10, "test": 7}
    data = {f"X_{part}": rng.standard_normal((n, 1, 4, 4)) for part, n in shapes.items()}
    return data | {f"y_{part}": rng.integers(3, size=n) for part, n in shapes.items()}


def run(data):
    usage = {"mean": np.zeros((1, 4, 4)), "scale": 1.0, "white": 1.0}
    model = ThreeLayerConvNet((1, 4, 4), 3, 3, 5, 3, weight_scale=0.1, rng=1)
    solver = Solver(model, data | usage, batch_size=5, num_epochs=3, verbose=False, rng=2)
    solver.num_train_samples = 7
    solver.train()
    return solver


def test_a_solver_trains_on_objects_of_which_it_asks_for_rows_by_their_indices():
    data = make_data()
    lazy = {name: OnlyIndices(array) for name, array in data.items()}
    expected, found = run(data), run(lazy)
    assert found.history.rows == expected.history.rows
    for name, array in expected.model.params.items():
        np.testing.assert_array_equal(found.model.params[name], array, strict=True)
    X, y = (data["X_test"], data["y_test"])
    assert found.check_accuracy(lazy["X_test"], lazy["y_test"], 5) <= 1
    assert found.check_accuracy(lazy["X_test"], lazy["y_test"]) == expected.check_accuracy(X, y)
    np.testing.assert_array_equal(found.predict(lazy["X_test"]), expected.predict(X))


def test_one_batch_at_a_time_is_read():
    data = make_data()
    lazy = {name: OnlyIndices(array, most=10) for name, array in data.items() if name[0] == "X"}
    solver = run(data | lazy)
    solver.check_accuracy(lazy["X_test"], data["y_test"], batch_size=4)
    solver.predict(lazy["X_test"], batch_size=4)
    assert max(lazy["X_test"].asked) == 4
    assert max(lazy["X_train"].asked) == 7  # the sample of an accuracy


def test_a_memory_map_is_indexed_as_it_is(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert source(mapped) is mapped
    assert source(ROWS) is ROWS


def test_what_has_no_shape_and_dtype_becomes_an_array():
    assert isinstance(source([[1, 2], [3, 4]]), np.ndarray)
    np.testing.assert_array_equal(in_memory(range(3)), [0, 1, 2])


def test_slices_masks_and_lists_are_indices():
    rows = source(OnlyIndices(ROWS))
    assert isinstance(rows, Indexed)
    assert source(rows) is rows
    assert (rows.shape, rows.dtype, len(rows)) == ((6, 4), np.float32, 6)
    for key in (slice(1, 4), ROWS[:, 0] > 8, [-1, 0], np.array([2, 2])):
        np.testing.assert_array_equal(rows[key], ROWS[key], strict=True)
    np.testing.assert_array_equal(in_memory(OnlyIndices(ROWS)), ROWS, strict=True)
    assert positions(slice(4, None), 6).tolist() == [4, 5]
    with pytest.raises(IndexError):
        rows[[6]]


def test_an_object_that_returns_other_rows_is_refused():
    class Wrong(OnlyIndices):
        def __getitem__(self, indices):
            return super().__getitem__(indices)[:-1]

    with pytest.raises(ShapeError, match=r"Wrong\[2 indices\] must have the shape \(2, 4\)"):
        source(Wrong(ROWS))[[0, 1]]
