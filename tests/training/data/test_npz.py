"""Arrays of a user's file: layouts, parts, and every error."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from data_cases import PARTS, error_of, images

from convkit.training.data import load_data, picture
from convkit.training.data.npz import load_npz


def test_npz_of_images_and_labels(tmp_path):
    X, y = images(50, 3, 6, 7), np.arange(50) % 4
    np.savez(tmp_path / "d.npz", X=X, y=y, class_names=["a", "b", "c", "d"])
    data = load_data(tmp_path / "d.npz")
    assert [data[f"X_{part}"].shape for part in PARTS] == [
        (35, 3, 6, 7),
        (5, 3, 6, 7),
        (10, 3, 6, 7),
    ]
    assert data["class_names"] == ["a", "b", "c", "d"]
    assert data["scale"] == pytest.approx(1 / 255)
    label_of = {x.tobytes(): label for x, label in zip(X, y, strict=True)}
    for part in PARTS:
        for x, label in zip(picture(data, data[f"X_{part}"]), data[f"y_{part}"], strict=True):
            assert label_of[x.tobytes()] == label


def test_npz_with_parts(tmp_path):
    np.savez_compressed(
        tmp_path / "d.npz",
        x_train=images(20, 5, 5),
        y_train=np.arange(20) % 2,
        x_test=images(6, 5, 5, seed=1),
        y_test=np.arange(6) % 2,
    )
    data = load_npz(tmp_path / "d.npz")
    assert [len(data[f"y_{part}"]) for part in PARTS] == [18, 2, 6]
    assert data["X_train"].shape[1:] == (1, 5, 5)
    np.testing.assert_array_equal(picture(data, data["X_test"])[:, 0], images(6, 5, 5, seed=1))
    assert data["class_names"] == ["0", "1"]


def test_npz_with_a_validation_part(tmp_path):
    arrays = {}
    for part, n in zip(PARTS, (4, 3, 2), strict=True):
        arrays |= {f"X_{part}": np.ones((n, 2, 3, 3), np.float64), f"y_{part}": np.zeros(n, int)}
    np.savez(tmp_path / "d.npz", **arrays)
    data = load_npz(tmp_path / "d.npz")
    assert [len(data[f"y_{part}"]) for part in PARTS] == [4, 3, 2]
    assert data["scale"] == 1


def test_npz_with_channels_last(tmp_path):
    X, y = images(20, 8, 9, 3), np.arange(20) % 2
    np.savez(tmp_path / "guess.npz", X=X, y=y)
    message = error_of(load_npz, tmp_path / "guess.npz")
    assert message.endswith(
        "guess.npz: X: expected (N, C, H, W), found shape (20, 8, 9, 3), which looks like channels "
        "last: add layout='NHWC' to the file (or 'NCHW' where it is meant so)"
    )
    np.savez(tmp_path / "last.npz", X=X, y=y, layout="NHWC")
    assert load_npz(tmp_path / "last.npz")["X_train"].shape == (14, 3, 8, 9)
    np.savez(tmp_path / "first.npz", X=X, y=y, layout="NCHW")
    assert load_npz(tmp_path / "first.npz")["X_train"].shape == (14, 8, 9, 3)


GOOD = {"X": images(20, 1, 4, 4), "y": np.arange(20) % 2}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": GOOD["X"]}, "expected the arrays X and y, or X_train, y_train, X_test, y_test (and"),
        (
            {"a": np.ones(3)},
            "expected the arrays X and y, or X_train, y_train, X_test, y_test (and",
        ),
        (GOOD | {"y": np.arange(19)}, "X: expected 20 integer labels, found int64 of shape (19,)"),
        (GOOD | {"y": np.ones(20)}, "X: expected 20 integer labels, found float64 of shape (20,)"),
        (GOOD | {"y": np.arange(20) - 1}, "X: expected labels from 0, found -1"),
        (GOOD | {"class_names": ["a"]}, "expected labels 0 to 0, found 1"),
        (
            GOOD | {"X": np.ones((20, 4))},
            "X: expected numbers of shape (N, C, H, W) or (N, H, W), ",
        ),
        (GOOD | {"X": np.full((20, 4, 4), "a")}, "X: expected numbers of shape (N, C, H, W) or ("),
        (
            GOOD | {"X": np.full((20, 4, 4), np.nan)},
            "X: expected finite numbers, found NaN or infinity",
        ),
        (GOOD | {"layout": "CHWN"}, "expected layout 'NCHW' or 'NHWC', found 'CHWN'"),
        (
            {"X": GOOD["X"][:3], "y": GOOD["y"][:3]},
            "expected at least 5 images to divide into three parts, found 3",
        ),
        (
            {
                "X_train": GOOD["X"],
                "y_train": GOOD["y"],
                "X_test": images(2, 1, 5, 5),
                "y_test": GOOD["y"][:2],
            },
            "expected images of one size in all parts, found [(1, 4, 4), (1, 5, 5)]",
        ),
    ],
)
def test_wrong_arrays(tmp_path, arrays, message):
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)
    assert error_of(load_npz, path).startswith(f"{path}: {message}")


@pytest.mark.parametrize("cut", [0, 30, -40])
def test_an_npz_cut_short(tmp_path, cut):
    path = tmp_path / "d.npz"
    np.savez(path, **GOOD)
    path.write_bytes(path.read_bytes()[:cut])
    size = path.stat().st_size
    message = f"{path}: expected an .npz file of plain arrays, found {size} bytes that are not one"
    assert error_of(load_npz, path).startswith(message)


def test_a_damaged_npz(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, **GOOD)
    content = bytearray(path.read_bytes())
    content[150] ^= 255  # in the pixels: the archive's checksum is what tells
    path.write_bytes(content)
    assert error_of(load_npz, path).startswith(f"{path}: expected an .npz file of plain arrays")


def test_an_npz_that_needs_pickle_is_not_run(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, X=np.array([{"a": 1}], dtype=object), y=np.zeros(1, int))
    assert "expected an .npz file of plain arrays" in error_of(load_npz, path)


def test_other_files_called_npz(tmp_path):
    path = tmp_path / "d.npz"
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    assert error_of(load_npz, path) == f"{path}: expected an .npz file, found a single array"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "expected" in error_of(load_npz, path)
    assert error_of(load_npz, tmp_path / "none.npz").endswith(
        "none.npz: expected an .npz file, found no such file"
    )
