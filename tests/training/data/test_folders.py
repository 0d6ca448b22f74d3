"""Folders of images: classes, parts, and every error."""

from __future__ import annotations

import re

import numpy as np
import pytest
from data_cases import PARTS, error_of, images

from convkit.training.data import load_data, picture
from convkit.training.data.folders import load_image_folder

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
