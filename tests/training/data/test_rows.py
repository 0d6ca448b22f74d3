"""Images that are not in memory: subsets, what is joined, what is prepared when it is read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from data_cases import PARTS, images
from data_sources import OnlyIndices

from convkit import ParameterError
from convkit.preprocessing import Preprocessing
from convkit.training.data import Raw, assembled, picture, standardise
from convkit.training.data import rows as rows_module
from convkit.training.data.rows import Prepared, Subset, choose, chunks, joined, prepared

X = images(30, 3, 4, 5)
Y = np.arange(30) % 3


def raw_of(x):
    return Raw({"": (x, Y)}, ["a", "b", "c"], white=255.0, scale=1 / 255)


@pytest.mark.parametrize("preparation", ["plain", "mean", "standardise"])
def test_a_data_set_of_a_source_is_that_of_an_array_to_the_bit(preparation, monkeypatch):
    monkeypatch.setattr(rows_module, "CHUNK", 7 * 60)  # the training images in three chunks
    expected = assembled(raw_of(X).divided(0), preparation)
    found = assembled(raw_of(OnlyIndices(X, most=7)).divided(0), preparation)
    assert found.keys() == expected.keys()
    for part in PARTS:
        lazy, array = found[f"X_{part}"], expected[f"X_{part}"]
        assert isinstance(lazy, Prepared)
        assert (lazy.shape, lazy.dtype, len(lazy)) == (array.shape, array.dtype, len(array))
        for start in range(0, len(array), 5):
            chosen = np.arange(start, min(start + 5, len(array)))
            np.testing.assert_array_equal(lazy[chosen], array[chosen], strict=True)
        np.testing.assert_array_equal(found[f"y_{part}"], expected[f"y_{part}"])
    for name in ("mean", "scale", "white", "fit"):
        np.testing.assert_array_equal(found[name], expected[name])
    np.testing.assert_array_equal(
        picture(found, found["X_test"][:3]), picture(expected, expected["X_test"][:3])
    )


@pytest.mark.parametrize("count", [1, 7, 30])
def test_the_moments_of_chunks_are_those_of_all_images(count, monkeypatch):
    monkeypatch.setattr(rows_module, "CHUNK", count * 60)
    brighter = X // 4 + np.arange(30, dtype=np.uint8)[:, None, None, None] * 5
    parts = dict.fromkeys(PARTS, (brighter, Y))
    train = assembled(Raw(parts, ["a", "b", "c"], 255.0, 1 / 255), "standardise")["X_train"]
    np.testing.assert_allclose(train.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=(0, 2, 3), dtype=np.float64), 1, atol=1e-6)


def test_the_whole_of_a_divided_source_is_a_subset_of_it():
    source = OnlyIndices(X)
    base = Subset(source, np.arange(30))
    whole, labels = raw_of(base).divided(0).whole()
    assert whole.base is source
    np.testing.assert_array_equal(whole[:], X[whole.indices], strict=True)
    np.testing.assert_array_equal(labels, Y[whole.indices])
    assert source.asked == [30]  # by this test


@pytest.mark.parametrize("given", ["val", "test"])
def test_a_part_that_lacks_is_drawn_from_the_training_images(given):
    own = images(4, 3, 4, 5, seed=1), np.zeros(4, int)
    raw = Raw({"train": (X, Y), given: own}, ["a", "b", "c"], 255.0, 1.0).divided(0)
    other = {"val": "test", "test": "val"}[given]
    assert set(raw.parts) == set(PARTS)
    assert raw.parts[given] is own
    assert len(raw.parts[other][1]) == {"val": 3, "test": 6}[other]
    drawn = np.concatenate([raw.parts["train"][0], raw.parts[other][0]])
    assert sorted(x.tobytes() for x in drawn) == sorted(x.tobytes() for x in X)


def test_a_subset_reads_rows_as_an_array_does():
    subset = Subset(OnlyIndices(X), np.array([4, 2, 9, 2]))
    array = X[[4, 2, 9, 2]]
    for key in (
        slice(1, 3),
        [-1, 0],
        np.array([2, 2]),
        1,
        -1,
        np.array([True, False, True, False]),
    ):
        np.testing.assert_array_equal(subset[key], array[key], strict=True)
    np.testing.assert_array_equal(subset.take(np.array([3, 0]))[:], array[[3, 0]], strict=True)
    with pytest.raises(IndexError):
        subset[4]


def test_what_is_chosen_of_prepared_images_is_prepared():
    preprocessing = Preprocessing((3, 4, 5), 2.0, 1.0, 255.0)
    array = prepared(X, preprocessing)
    lazy = choose(prepared(OnlyIndices(X), preprocessing), np.array([5, 1]))
    np.testing.assert_array_equal(lazy[:], array[[5, 1]], strict=True)
    assert isinstance(choose(X, np.array([1])), np.ndarray)
    assert isinstance(choose(OnlyIndices(X), np.array([1])), Subset)


def test_parts_of_different_sources_are_not_joined():
    one, other = (Subset(OnlyIndices(X), np.arange(3)) for _ in range(2))
    with pytest.raises(ParameterError, match="subsets of one source"):
        joined([one, other])
    with pytest.raises(ParameterError, match="subsets of one source"):
        joined([one, X])
    np.testing.assert_array_equal(joined([X[:2], X[2:]]), X)


def test_a_data_set_that_is_not_in_memory_goes_to_other_processes():
    data = assembled(raw_of(Subset(Computed(), np.arange(30))).divided(0))
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(again["X_test"][:], data["X_test"][:], strict=True)


class Computed:
    shape, dtype = X.shape, X.dtype

    def __len__(self):
        return len(X)

    def __getitem__(self, indices):
        return X[indices]


def test_images_that_are_not_in_memory_are_not_changed_in_place():
    data = assembled(raw_of(OnlyIndices(X)).divided(0))
    with pytest.raises(ParameterError, match="load them with preparation='standardise'"):
        standardise(data)


def test_chunks_are_all_rows_in_order(monkeypatch):
    monkeypatch.setattr(rows_module, "CHUNK", 4 * 60)
    pieces = list(chunks(OnlyIndices(X, most=4)))
    assert [len(piece) for piece in pieces] == [4] * 7 + [2]
    np.testing.assert_array_equal(np.concatenate(pieces), X, strict=True)
