"""What of a folder is an image of a class, what is a part, and what is skipped."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from data_cases import error_of

from convkit.training.data.listing import PART_NAMES, list_folder

Image = pytest.importorskip("PIL.Image")


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(path, format="png")


def listed(root):
    found = list_folder(root)
    return {
        part: {name: [file.name for file in files] for name, files in classes.items()}
        for part, classes in found.parts.items()
    }


def test_classes_are_folders_and_files_are_in_order(tmp_path):
    write(tmp_path, "dog/b.png", "dog/a.png", "cat/c.PNG", "cat/.hidden.png", ".git/x.png")
    assert listed(tmp_path) == {"": {"cat": ["c.PNG"], "dog": ["a.png", "b.png"]}}
    found = list_folder(tmp_path)
    assert [(part, label) for part, label, _ in found.files()] == [("", 0), ("", 1), ("", 1)]
    assert found.skipped == []


def test_what_is_no_image_and_empty_folders_are_skipped(tmp_path):
    write(tmp_path, "cat/a.png", "cat/suffixless", "cat/b.unknown", "dog/a.png")
    junk = [
        "README.txt",
        "cat/Thumbs.db",
        "cat/.DS_Store",
        "cat/labels.h5",
        "dog/notes",
        "eel/x.md",
    ]
    for name in junk:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    (tmp_path / "fox").mkdir()
    (tmp_path / "cat" / "empty").mkdir()
    (tmp_path / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "cat" / "._a.png").write_bytes(b"\0")
    assert listed(tmp_path)[""] == {"cat": ["a.png", "b.unknown", "suffixless"], "dog": ["a.png"]}
    skipped = {str(path.relative_to(tmp_path)) for path in list_folder(tmp_path).skipped}
    assert skipped == {
        "README.txt", "cat/Thumbs.db", "cat/labels.h5", "cat/empty", "dog/notes",
        "eel", "eel/x.md", "fox", "__MACOSX", "__MACOSX/cat",
    }  # fmt: skip


@pytest.mark.parametrize("name", PART_NAMES)
def test_parts_are_recognised_by_their_names(tmp_path, name):
    part = PART_NAMES[name]
    others = {"train": ("train",), "val": ("val",), "test": ("test",)}
    others.pop(part)
    folders = {name.title(): part} | {other: other for other in others}
    for folder in folders:
        write(tmp_path, f"{folder}/cat/{folders[folder]}.png", f"{folder}/dog/a.png")
    (tmp_path / "README.txt").touch()
    found = listed(tmp_path)
    assert set(found) == {"train", "val", "test"}
    assert next(iter(found)) == "train"
    assert found[part]["cat"] == [f"{part}.png"]
    assert [path.name for path in list_folder(tmp_path).skipped] == ["README.txt"]


@pytest.mark.parametrize("other", ["valid", "test"])
def test_two_parts_are_enough_and_one_is_the_whole(tmp_path, other):
    write(tmp_path, "train/cat/a.png")
    assert listed(tmp_path) == {"": {"cat": ["a.png"]}}
    write(tmp_path, f"{other}/cat/a.png")
    assert set(listed(tmp_path)) == {"train", PART_NAMES[other]}


def test_classes_may_have_the_names_of_parts(tmp_path):
    write(tmp_path, "train/a.png", "test/a.png", "plane/a.png")
    assert set(listed(tmp_path)[""]) == {"train", "test", "plane"}


def test_a_class_may_be_empty_in_another_part(tmp_path):
    write(tmp_path, "train/cat/a.png", "train/dog/a.png", "test/cat/a.png")
    (tmp_path / "test" / "dog").mkdir()
    assert listed(tmp_path)["test"] == {"cat": ["a.png"]}
    assert [label for part, label, _ in list_folder(tmp_path).files()] == [0, 1, 0]


@pytest.mark.parametrize(
    ("names", "end"),
    [
        (["cat/a.png", "b.png"], "b.png: expected a folder of images of one class, found a file"),
        (["cat/a.png", "cat/in/b.png"], "in: expected images of one class, found a folder"),
        (
            ["train/cat/a.png", "test/cat/a.png", "more/b.png"],
            "more: expected no images beside test, train, found some",
        ),
        (
            ["train/cat/a.png", "val/cat/a.png", "valid/cat/a.png"],
            "expected one folder of each part, found val and valid",
        ),
        (
            ["train/cat/a.png", "test/cat/a.png", "test/dog/a.png"],
            "test: expected the classes cat, found cat, dog",
        ),
        (
            ["train/cat/a.png", "train/dog/a.png", "test/cat/a.png"],
            "test: expected the classes cat, dog, found cat",
        ),
    ],
)
def test_images_in_a_place_that_says_no_class_are_refused(tmp_path, names, end):
    write(tmp_path, *names)
    assert error_of(list_folder, tmp_path).endswith(end)


def test_folders_without_an_image_are_refused(tmp_path):
    assert error_of(list_folder, tmp_path / "none").endswith("found no such folder")
    assert error_of(list_folder, tmp_path).endswith("per class, found an empty folder")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.txt").touch()
    assert error_of(list_folder, tmp_path).endswith("of images per class, found no image")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_names_that_are_not_utf_8_and_names_of_other_scripts(tmp_path):
    names = [os.fsdecode(b"k\xe4se"), "猫", "Ёж", "a$_$b"]
    write(tmp_path, *(f"{name}/{name}.png" for name in names))
    assert list_folder(tmp_path).classes == sorted(names)
    write(tmp_path, os.fsdecode(b"\xff.png"))
    message = error_of(list_folder, tmp_path)
    assert message.encode("utf-8").startswith(os.fsencode(tmp_path) + b"/\\xff.png: expected")
