"""Digits, arrays and folders: shapes, parts that never overlap, and every refusal."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest

from convkit import DataError
from convkit.training.data import assemble, load_data, load_digits, picture, split
from convkit.training.data.folders import load_image_folder
from convkit.training.data.npz import load_npz

PARTS = ("train", "val", "test")


def images(n, *shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(dtype)


def error_of(function, *arguments):
    with pytest.raises(DataError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- parts and scaling ------------------------------------------------------------------------


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


# --- digits -----------------------------------------------------------------------------------


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


# --- .npz -------------------------------------------------------------------------------------


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


# --- folders of images ------------------------------------------------------------------------

Image = pytest.importorskip("PIL.Image")


def write_classes(root, classes=("cat", "dog"), n=5, shape=(4, 6, 3), mode=None, suffix="png"):
    for seed, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i, pixels in enumerate(images(n, *shape, seed=seed)):
            picture = Image.fromarray(pixels)
            picture = picture if mode is None else picture.convert(mode)
            picture.save(root / name / f"{i}.{suffix}")


def test_a_folder_of_class_folders(tmp_path):
    write_classes(tmp_path)
    (tmp_path / ".hidden").touch()
    (tmp_path / "cat" / ".DS_Store").touch()
    data = load_data(tmp_path)
    assert data["class_names"] == ["cat", "dog"]
    assert [data[f"X_{part}"].shape for part in PARTS] == [(7, 3, 4, 6), (1, 3, 4, 6), (2, 3, 4, 6)]
    known = {x.tobytes(): label for label in (0, 1) for x in images(5, 4, 6, 3, seed=label)}
    for part in PARTS:
        pictures = np.moveaxis(picture(data, data[f"X_{part}"]), 1, 3)
        for x, label in zip(pictures, data[f"y_{part}"], strict=True):
            assert known[np.ascontiguousarray(x).tobytes()] == label


def test_a_folder_with_parts(tmp_path):
    write_classes(tmp_path / "train", n=10)
    write_classes(tmp_path / "test", n=3)
    data = load_image_folder(tmp_path)
    assert [len(data[f"y_{part}"]) for part in PARTS] == [18, 2, 6]
    assert data["y_test"].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("shape", "mode", "channels"),
    [((4, 6), None, 1), ((4, 6, 4), None, 4), ((4, 6, 3), "P", 3), ((4, 6), "1", 1)],
)
def test_any_number_of_channels(tmp_path, shape, mode, channels):
    write_classes(tmp_path, shape=shape, mode=mode)
    assert load_image_folder(tmp_path)["X_train"].shape == (7, channels, 4, 6)


def test_sixteen_bit_images_keep_their_depth(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(np.full((3, 3), 65535, np.uint16)).save(tmp_path / name / f"{i}.png")
    data = load_image_folder(tmp_path)
    assert data["white"] == 65535
    assert data["mean"].max() == 1


def broken(tmp_path, change):
    write_classes(tmp_path)
    change(tmp_path)
    return error_of(load_image_folder, tmp_path)


def test_an_image_of_another_size(tmp_path):
    odd = Image.fromarray(images(1, 5, 6, 3)[0])
    message = broken(tmp_path, lambda root: odd.save(root / "dog" / "9.png"))
    assert message == (
        f"{tmp_path / 'dog' / '9.png'}: expected 6x4 pixels of 3 channels, uint8, as 0.png has, "
        "found 6x5 pixels of 3 channels, uint8"
    )


def test_an_image_of_other_channels(tmp_path):
    grey = Image.fromarray(images(1, 4, 6)[0])
    message = broken(tmp_path, lambda root: grey.save(root / "dog" / "9.png"))
    assert message.endswith("found 6x4 pixels of 1 channel, uint8")


@pytest.mark.parametrize(
    ("content", "found"), [(b"", "an empty file"), (b"hello", "cannot identify image file")]
)
def test_a_foreign_file_among_images(tmp_path, content, found):
    message = broken(tmp_path, lambda root: (root / "cat" / "9.png").write_bytes(content))
    assert message.startswith(f"{tmp_path / 'cat' / '9.png'}: expected an image, found {found}")


def test_an_image_cut_short(tmp_path):
    def cut(root):
        path = root / "cat" / "0.png"
        path.write_bytes(path.read_bytes()[:-40])

    message = broken(tmp_path, cut)
    assert message.startswith(f"{tmp_path / 'cat' / '0.png'}: expected an image, found ")


def test_a_folder_with_a_loose_file(tmp_path):
    message = broken(tmp_path, lambda root: (root / "notes.txt").touch())
    assert message.endswith("notes.txt: expected a folder of images of one class, found a file")


def test_an_empty_class(tmp_path):
    message = broken(tmp_path, lambda root: (root / "eel").mkdir())
    assert message.endswith("eel: expected images of the class, found an empty folder")


def test_an_empty_folder(tmp_path):
    assert error_of(load_image_folder, tmp_path) == (
        f"{tmp_path}: expected one folder per class, found an empty folder"
    )
    assert error_of(load_image_folder, tmp_path / "none").endswith("found no such folder")


def test_parts_with_other_classes(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "test", ["cat", "eel"])
    assert re.search(
        r"(train|test): expected the classes cat, (dog|eel), found cat, (dog|eel)$",
        error_of(load_image_folder, tmp_path),
    )


# --- choosing by name -------------------------------------------------------------------------


def test_names_and_paths_that_are_neither(tmp_path):
    expected = "expected digits, cifar10, an .npz file or a folder of class folders"
    assert error_of(load_data, "mnist") == f"data 'mnist': {expected}, found nothing there"
    (tmp_path / "a.csv").touch()
    path = str(tmp_path / "a.csv")
    assert error_of(load_data, path) == f"data {path!r}: {expected}, found a .csv"
