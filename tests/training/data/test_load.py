"""The loader is chosen by name or path."""

from __future__ import annotations

import numpy as np
import pytest
from data_cases import error_of

from convkit import ParameterError
from convkit.preprocessing import Preprocessing
from convkit.training.data import FolderOptions, load_data, picture, read_data


def test_names_and_paths_that_are_neither(tmp_path):
    expected = "expected digits, cifar10, an .npz file or a folder of class folders"
    assert error_of(load_data, "mnist") == f"data 'mnist': {expected}, found nothing there"
    (tmp_path / "a.csv").touch()
    path = str(tmp_path / "a.csv")
    assert error_of(load_data, path) == f"data {path!r}: {expected}, found a .csv"


def test_images_are_prepared_as_a_network_s_were(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    case = Preprocessing((1, 4, 4), 0.5, 1.0, 16.0)
    for name, size in (("cat", 4), ("dog", 8)):
        (tmp_path / name).mkdir()
        for i in range(5):
            white = np.full((size, size, 3), 255, np.uint8)
            Image.fromarray(white).save(tmp_path / name / f"{i}.png")
    data = load_data(tmp_path, preparation=case)
    np.testing.assert_array_equal(
        data["X_train"], np.full((7, 1, 4, 4), 7, np.float32), strict=True
    )
    assert (data["white"], data["scale"]) == (16, 0.5)
    assert picture(data, data["X_train"]).min() == 255
    raw = read_data(tmp_path, preprocessing=case)
    assert raw.whole()[0].shape == (10, 1, 4, 4)


def test_what_is_said_of_a_folder_goes_with_no_other_source(tmp_path):
    np.savez(tmp_path / "d.npz", X=np.zeros((9, 1, 2, 2)), y=np.arange(9) % 2)
    message = (
        r"^mode \(='rgb'\) goes with a folder of images, not with data '.*d.npz'; leave it out$"
    )
    with pytest.raises(ParameterError, match=message):
        load_data(tmp_path / "d.npz", folder=FolderOptions(mode="rgb"))
    with pytest.raises(ParameterError, match=r"^skip_bad \(=True\) goes with a folder"):
        read_data("digits", folder=FolderOptions(skip_bad=True))
    assert len(load_data(tmp_path / "d.npz", folder=FolderOptions())["y_train"]) == 6
