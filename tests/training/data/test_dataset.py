"""Parts that never overlap, scaling, and its inverse."""

from __future__ import annotations

import numpy as np
from data_cases import PARTS, error_of, images

from convkit.training.data import Raw, assemble, picture, split, standardise


def test_parts_hold_every_image_once_and_every_class_alike():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    np.random.default_rng(1).shuffle(y)
    parts = split(np.arange(160), y, rng=0)
    assert [len(parts[part][1]) for part in PARTS] == [112, 16, 32]
    assert sorted(np.concatenate([x for x, _ in parts.values()])) == list(range(160))
    for x, labels in parts.values():
        np.testing.assert_array_equal(y[x], labels)
    assert np.bincount(parts["test"][1]).tolist() == [20, 10, 2]


def test_parts_are_drawn_by_the_seed():
    y = np.zeros(30, int)
    first, same, other = (split(np.arange(30), y, seed)["test"][0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert set(first) != set(other)


def test_too_few_images_to_divide():
    message = error_of(split, np.zeros(4), np.zeros(4, int), 0)
    assert message == "expected at least 5 images to divide into three parts, found 4"


def test_the_mean_is_the_training_images_alone():
    parts = {
        "train": (np.array([[1.0], [3.0]]), np.array([0, 1])),
        "val": (np.array([[10.0]]), np.array([0])),
        "test": (np.array([[20.0]]), np.array([1])),
    }
    data = assemble(parts, ["a", "b"], white=20, scale=0.5)
    assert data["mean"] == 1
    assert data["X_train"].ravel().tolist() == [-0.5, 0.5]
    assert data["X_test"] == 9
    plain = assemble(parts, ["a", "b"], white=20, subtract_mean=False)
    assert plain["X_test"] == 20
    assert plain["mean"] == 0
    assert parts["train"][0].tolist() == [[1], [3]]


def test_pictures_come_back():
    x = images(8, 3, 4, 5)
    part = (x, np.zeros(8, int))
    data = assemble({"train": part, "val": part, "test": part}, ["a"], white=255, scale=1 / 255)
    np.testing.assert_array_equal(picture(data, data["X_test"]), x)


def test_standardised_channels_have_mean_0_and_deviation_1_over_the_training_images():
    parts = {
        part: (images(8, 3, 4, 5) // (i + 1), np.zeros(8, int)) for i, part in enumerate(PARTS)
    }
    for x, _ in parts.values():
        x[:, 1] = 7  # the same everywhere
    plain = assemble(parts, ["a"], white=255, scale=1 / 255)
    data = standardise(assemble(parts, ["a"], white=255, scale=1 / 255))
    train = data["X_train"].astype(np.float64)
    np.testing.assert_allclose(train.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=(0, 2, 3)), [1, 0, 1], atol=1e-6)
    for part, (raw, _) in parts.items():
        np.testing.assert_allclose(
            data[f"X_{part}"], raw * data["scale"] - data["mean"], rtol=0, atol=2e-6
        )
        np.testing.assert_array_equal(picture(data, data[f"X_{part}"]), raw)
        assert data[f"X_{part}"].dtype == np.float32
    assert data["mean"].shape == plain["mean"].shape
    assert data["scale"].shape == (3, 1, 1)


def test_standardised_from_raw_images_is_standardise_to_rounding():
    parts = {part: (images(8, 3, 4, 5), np.zeros(8, int)) for part in PARTS}
    found = assemble(parts, ["a"], white=255, scale=1 / 255, preparation="standardise")
    expected = standardise(assemble(parts, ["a"], white=255, scale=1 / 255))
    for name in ("X_train", "X_val", "X_test", "mean", "scale"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=2e-6)


def test_the_whole_of_raw_parts_is_every_image_once():
    x, y = np.arange(30), np.repeat([0, 1, 2], 10)
    raw = Raw({"": (x, y)}, ["a", "b", "c"], 1.0, 1.0)
    assert raw.whole()[0] is x
    divided, labels = raw.divided(0).whole()
    assert sorted(divided) == list(range(30))
    np.testing.assert_array_equal(labels, y[divided])


def test_a_source_that_cannot_be_divided_is_named():
    raw = Raw({"": (np.zeros(4), np.zeros(4, int))}, ["a"], 1.0, 1.0, where="here")
    expected = "here: expected at least 5 images to divide into three parts, found 4"
    assert error_of(raw.divided, 0) == expected
