"""Preprocessing: the same bits in training and in prediction; pictures in files."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from data_cases import error_of, images

from convkit import DataError, ParameterError
from convkit.preprocessing import Preprocessing
from convkit.training.data import assemble

Image = pytest.importorskip("PIL.Image")
CASES = {
    "numbers": Preprocessing((3, 4, 5), 1 / 255, 0.25, 255.0),
    "per channel": Preprocessing(
        (3, 4, 5), np.array([[[0.1]], [[0.2]], [[0.3]]]), np.ones((3, 1, 1)) / 3, 65535, "pad"
    ),
    "mean image": Preprocessing((3, 4, 6), 1.0, np.random.default_rng(0).random((3, 4, 6))),
    "vector": Preprocessing((7,), 2.0, np.arange(7) / 3),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_comes_back_from_json_to_the_bit(case):
    again = Preprocessing.from_config(json.loads(json.dumps(case.config())))
    assert again == case
    assert hash(again) == hash(case)
    for name in ("scale", "mean"):
        np.testing.assert_array_equal(getattr(again, name), getattr(case, name), strict=True)
    assert (again.shape, again.white, again.fit) == (case.shape, case.white, case.fit)


def test_it_is_frozen_and_its_arrays_are_its_own():
    mean = np.ones((3, 4, 5), np.float32)
    case = Preprocessing((3, 4, 5), 1.0, mean)
    mean[:] = 7
    assert (np.asarray(case.mean) == 1).all()
    assert not case.mean.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        case.white = 2


@pytest.mark.parametrize("preparation", ["plain", "mean", "standardise"])
def test_that_of_a_data_set_prepares_as_the_data_set_was(preparation):
    x, y = images(20, 3, 4, 5), np.zeros(20, int)
    parts = {"train": (x[:10], y[:10]), "val": (x[10:15], y[10:15]), "test": (x[15:], y[15:])}
    data = assemble(parts, ["a"], white=255.0, scale=1 / 255, preparation=preparation)
    case = Preprocessing.of(data)
    np.testing.assert_array_equal(case.apply(x[15:]), data["X_test"], strict=True)
    assert case.mean.shape == ((3, 4, 5) if preparation == "mean" else (3, 1, 1))
    assert (case.size, case.mode, case.fit, case.white) == ((4, 5), "rgb", "crop", 255)
    assert x.dtype == np.uint8  # and they are as they were
    np.testing.assert_array_equal(x, images(20, 3, 4, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fit": "zoom"}, r"fit \(='zoom'\) must be 'crop', 'pad', 'stretch'"),
        ({"white": 0}, r"white \(=0\) must be a finite number above 0"),
        ({"mean": np.nan}, "mean must hold finite numbers"),
        ({"scale": np.ones(4)}, r"scale \(shape \(4,\)\) must be broadcastable to shape"),
    ],
)
def test_what_is_no_preprocessing(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Preprocessing((3, 4, 5), **arguments)


@pytest.mark.parametrize(
    "config", [{}, {"scale": 1.0}, None, [], {**CASES["numbers"].config(), "mean": "much"}]
)
def test_a_config_that_describes_none_is_an_error(config):
    assert error_of(Preprocessing.from_config, config).startswith("expected a preprocessing, ")


def test_a_file_gets_size_mode_and_scale(tmp_path):
    pixels = images(1, 10, 12, 3)[0]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    same = Preprocessing((3, 10, 12), 1 / 255, 0.0, 255).read(tmp_path / "a.png")
    np.testing.assert_array_equal(same, np.moveaxis(pixels, 2, 0), strict=True)
    assert Preprocessing((3, 5, 5), white=255).read(tmp_path / "a.png").shape == (3, 5, 5)
    grey = Preprocessing((1, 10, 12), white=16).read(tmp_path / "a.png")
    luma = pixels @ [0.299, 0.587, 0.114] * 16 / 255
    np.testing.assert_allclose(grey[0], luma, rtol=1e-5)
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "b.png")
    assert (Preprocessing((3, 4, 4), white=255).read(tmp_path / "b.png") == 255).all()


def test_files_that_it_cannot_scale_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
    assert Preprocessing((1, 4, 4)).read(tmp_path / "a.tiff").max() == 1
    message = error_of(Preprocessing((1, 4, 4), white=255).read, tmp_path / "a.tiff")
    assert message.endswith("expected 8 or 16 bits per channel, found float32")
    message = error_of(Preprocessing((7,)).read, tmp_path / "a.tiff")
    assert "examples of shape (7,) are not read from image files" in message
    with pytest.raises(DataError, match="expected an image, found no such file"):
        Preprocessing((1, 4, 4)).read(tmp_path / "none.png")


def test_it_says_what_it_does():
    text = str(CASES["per channel"])
    assert text.startswith("3x4x5, rgb, other sizes: pad, white is 65535, raw * [0.1, 0.2, 0.3]")
    assert str(CASES["mean image"]).endswith("raw * 1 - an array (3, 4, 6)")


def test_files_of_whole_numbers_stay_whole_when_they_are_resized(tmp_path):
    Image.fromarray(images(1, 10, 12, 3)[0]).save(tmp_path / "a.png")
    for white in (255, 65535):
        found = Preprocessing((1, 7, 7), white=white).read(tmp_path / "a.png")
        np.testing.assert_array_equal(found, np.rint(found))
    found = Preprocessing((1, 7, 7), white=1).read(tmp_path / "a.png")
    assert not np.array_equal(found, np.rint(found))
