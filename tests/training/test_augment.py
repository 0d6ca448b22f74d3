"""Augmentation of batches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from convkit import ParameterError, ShapeError
from convkit.training.augment import (
    AUGMENTATIONS,
    Chain,
    Crop,
    Cutout,
    Flip,
    Shift,
    described,
    make_augmentation,
)


@pytest.fixture
def batch(rng):
    return rng.standard_normal((40, 3, 8, 6)).astype(np.float32)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_gives_a_new_batch_repeatably(name, batch):
    augment, before = make_augmentation(name), batch.copy()
    batch.flags.writeable = False
    out = augment(batch, np.random.default_rng(3))
    assert (out.shape, out.dtype) == (batch.shape, batch.dtype)
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(batch, before)
    assert not np.shares_memory(out, batch)
    np.testing.assert_array_equal(out, augment(batch, np.random.default_rng(3)))
    assert (out != augment(batch, np.random.default_rng(4))).any()
    assert (out != batch).any()
    assert augment(batch[:0], np.random.default_rng(3)).shape == (0, 3, 8, 6)


def test_flip_mirrors_about_half(batch, rng):
    out = Flip()(batch, rng)
    mirrored = (out == batch[..., ::-1]).all(axis=(1, 2, 3))
    same = (out == batch).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 8 < mirrored.sum() < 32


def test_shift_is_padding_and_cutting_out(batch, rng):
    out = Shift(2)(batch, rng)
    padded = np.pad(batch, ((0, 0), (0, 0), (2, 2), (2, 2)))
    places = set()
    for n, image in enumerate(out):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(image, padded[n, :, top : top + 8, left : left + 6])
        ]
        assert len(found) == 1
        places |= set(found)
    assert len(places) > 12
    np.testing.assert_array_equal(Shift(0)(batch, rng), batch)


def test_crop_stretches_a_window(rng):
    np.testing.assert_allclose(
        Crop(1.0)(np.ones((2, 1, 5, 5)) * np.arange(5.0), rng), np.ones((2, 1, 5, 5)) * np.arange(5)
    )
    ramp = np.ones((30, 2, 8, 8)) * np.arange(8.0)
    out = Crop(0.5)(ramp, rng)
    steps = np.diff(out, axis=-1)[..., 2:-2]
    assert (steps > 0.49).all()
    assert (steps < 1.01).all()
    assert steps.std() > 0.05
    assert out.min() >= 0
    assert out.max() <= 7


def test_cutout_hides_a_square(batch, rng):
    out = Cutout(4)(batch, rng)
    hidden = (out == 0).all(axis=1)
    assert (out[~np.broadcast_to(hidden[:, None], out.shape)] != 0).all()
    sizes = hidden.sum(axis=(1, 2))
    assert sizes.max() == 16
    assert sizes.min() >= 4
    for one in hidden:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert one.sum() == len(rows) * len(columns)
    assert (Cutout()(batch, rng) == 0).all(axis=1).sum(axis=(1, 2)).max() == 9  # half of 6 pixels


def test_names_with_numbers_and_chains(batch):
    assert make_augmentation(None) is None
    assert make_augmentation("flip") == Flip()
    assert make_augmentation("flip, shift=2,crop=0.5,cutout=3") == Chain(
        (Flip(), Shift(2), Crop(0.5), Cutout(3))
    )
    assert make_augmentation([Flip(), Shift(1)]) == Chain((Flip(), Shift(1)))
    one, both = np.random.default_rng(0), np.random.default_rng(0)
    expected = Shift(2)(Flip()(batch, one), one)
    np.testing.assert_array_equal(make_augmentation("flip,shift=2")(batch, both), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("turn", "augment (='turn') must be one of flip, shift, crop, cutout"),
        ("", "augment (='') must be one of flip"),
        ("flip,flip", "augment (='flip,flip') must name each augmentation once"),
        ("shift=much", "augment (='shift=much'): 'much' is no number of shift"),
        ("flip=2", "augment (='flip=2'): '2' is no number of flip"),
        ("shift=-1", "shift (=-1) must be an integer of at least 0"),
        ("crop=2", "crop (=2.0) must be more than 0 and at most 1"),
    ],
)
def test_what_is_no_augmentation_is_refused(text, message):
    with pytest.raises(ParameterError) as caught:
        make_augmentation(text)
    assert str(caught.value).startswith(message)


def test_only_images_are_augmented(rng):
    with pytest.raises(ShapeError, match=r"needs images \(N, C, H, W\), found the shape \(3, 4\)"):
        Flip()(np.zeros((3, 4)), rng)


def test_a_description_is_the_same_in_another_process():
    assert described(Shift(2)) == "Shift(pixels=2)"
    assert described(test_only_images_are_augmented) == "test_only_images_are_augmented"
    assert "0x" not in described(partial(test_only_images_are_augmented))
    assert described(None) is None
