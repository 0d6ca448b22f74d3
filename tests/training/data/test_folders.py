"""Folders of images: classes, parts, and every error."""

from __future__ import annotations

import os
import re
import sys
import tracemalloc

import numpy as np
import pytest
from data_cases import PARTS, error_of, images

from convkit import ConvkitError, DataError, ParameterError
from convkit.models import ThreeLayerConvNet
from convkit.training.data import (
    DataWarning,
    FolderOptions,
    folders,
    load_data,
    picture,
    reading,
    rows,
)
from convkit.training.data.folders import load_image_folder, read_image_folder
from convkit.training.data.rows import Prepared
from convkit.training.solver import Solver

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


def write_image(path, shape, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images(1, *shape, seed=seed)[0]).save(path)


def warned(function, *arguments):
    """What a function returns, and its warnings' texts."""
    with pytest.warns(DataWarning) as caught:
        found = function(*arguments)
    assert {warning.category for warning in caught} == {DataWarning}
    return found, [str(warning.message) for warning in caught]


def test_mixed_sizes_and_modes_become_those_of_most_images(tmp_path):
    write_classes(tmp_path)
    write_image(tmp_path / "dog" / "8.png", (9, 6))
    write_image(tmp_path / "dog" / "9.png", (4, 6, 4))
    data, (line,) = warned(load_image_folder, tmp_path)
    assert line == (
        f"{tmp_path}: most images are 6x4 rgb; the 2 of 12 that differ are brought to that "
        "(fit: crop)"
    )
    assert data["X_train"].shape[1:] == (3, 4, 6)
    assert data["fit"] == "crop"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fit", [None, "crop", "pad", "stretch"])
def test_a_network_treats_new_pictures_as_the_folder_s(tmp_path, fit):
    write_classes(tmp_path)
    write_image(tmp_path / "dog" / "9.png", (9, 6))
    options = FolderOptions((5, 7), "gray", fit)
    raw = read_image_folder(tmp_path, None, options)
    data = load_data(tmp_path, folder=options)
    model = ThreeLayerConvNet((1, 5, 7), 2, 3, 5, 2, rng=0)
    Solver(model, data, num_iterations=1, verbose=False, rng=0)
    assert model.preprocessing.fit == (fit or "crop")
    assert (model.preprocessing.size, model.preprocessing.mode) == ((5, 7), "gray")
    files = sorted((tmp_path / "cat").iterdir()) + sorted((tmp_path / "dog").iterdir())
    images, _ = raw.parts[""]
    assert images.dtype == np.uint8
    for image, file in zip(images, files, strict=True):
        np.testing.assert_array_equal(model.preprocessing.read(file), image)
    again = read_image_folder(tmp_path, model.preprocessing)
    np.testing.assert_array_equal(again.parts[""][0], images)


def test_what_is_no_image_is_skipped_with_one_warning(tmp_path):
    write_classes(tmp_path)
    for name in ("README.txt", "cat/Thumbs.db", "cat/.DS_Store", ".hidden"):
        (tmp_path / name).touch()
    for number in range(4):
        (tmp_path / f"empty{number}").mkdir()
    data, (line,) = warned(load_image_folder, tmp_path)
    assert data["class_names"] == ["cat", "dog"]
    assert line == (
        f"{tmp_path}: skipped what is no image, and empty folders: README.txt, cat/Thumbs.db, "
        "empty0, empty1, empty2, and 1 more"
    )


def test_a_corrupt_file_is_named_or_left_out(tmp_path):
    write_classes(tmp_path, n=6)
    corrupt = tmp_path / "cat" / "3.png"
    corrupt.write_bytes(corrupt.read_bytes()[:-40])
    message = error_of(load_image_folder, tmp_path)
    assert message.startswith(f"{corrupt}: expected an image, found ")
    assert message.endswith("; skip_bad (--skip-bad) leaves such files out")
    options = FolderOptions(skip_bad=True)
    raw, (line,) = warned(read_image_folder, tmp_path, None, options)
    assert line.startswith(f"{tmp_path}: left out 1 file that cannot be read: {corrupt}: expected")
    x, y = raw.parts[""]
    assert y.tolist() == [0] * 5 + [1] * 6
    expected = [i for seed in (0, 1) for n, i in enumerate(images(6, 4, 6, 3, seed=seed))
                if (seed, n) != (0, 3)]  # fmt: skip
    np.testing.assert_array_equal(np.moveaxis(x, 1, 3), expected)


def test_a_class_of_which_nothing_can_be_read_is_an_error(tmp_path):
    write_classes(tmp_path, n=1)
    (tmp_path / "cat" / "0.png").write_bytes(b"")
    with pytest.warns(DataWarning), pytest.raises(DataError, match="of the class cat, found none"):
        read_image_folder(tmp_path, None, FolderOptions(skip_bad=True))


@pytest.mark.filterwarnings("error")
@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
@pytest.mark.parametrize("cached", [False, True])
def test_names_that_are_not_utf_8_and_names_of_other_scripts(tmp_path, cached):
    root = tmp_path / os.fsdecode(b"\xff")
    names = [os.fsdecode(b"k\xe4se"), "猫", "a$_$b"]
    write_classes(root, names)
    with pytest.warns(DataWarning) if cached else pytest.MonkeyPatch.context():
        data = load_image_folder(root, options=FolderOptions(cache=cached and tmp_path / "cache"))
    assert data["class_names"] == ["a$_$b", "k\\xe4se", "猫"]
    (root / "猫" / os.fsdecode(b"\xfe.png")).touch()
    message = error_of(load_image_folder, root)
    assert message.encode("utf-8").startswith(
        os.fsencode(tmp_path) + "/\\xff/猫/\\xfe.png".encode()
    )


def test_parts_that_lack_are_drawn(tmp_path):
    write_classes(tmp_path / "Training", n=10)
    write_classes(tmp_path / "valid", n=3)
    data = load_image_folder(tmp_path)
    assert [len(data[f"y_{part}"]) for part in PARTS] == [16, 6, 4]


def test_the_preprocessing_of_a_network_says_the_form_alone(tmp_path):
    write_classes(tmp_path)
    preprocessing = read_and_measure(tmp_path)
    with pytest.raises(ParameterError, match="size, mode and fit are those of the preprocessing"):
        read_image_folder(tmp_path, preprocessing, FolderOptions(size=8))


def read_and_measure(root):
    model = ThreeLayerConvNet((3, 4, 6), 2, 3, 5, 2, rng=0)
    Solver(model, load_image_folder(root), num_iterations=1, verbose=False)
    return model.preprocessing


@pytest.fixture
def cached(tmp_path):
    """A folder of images of mixed sizes, one of them bad, and options that keep them in a file."""
    write_classes(tmp_path / "pets", n=12)
    write_image(tmp_path / "pets" / "dog" / "99.png", (9, 6))
    (tmp_path / "pets" / "cat" / "3.png").write_bytes(b"")
    return tmp_path / "pets", FolderOptions(skip_bad=True, cache=tmp_path / "cache")


def test_images_of_the_cache_are_those_of_memory_to_the_bit(cached):
    root, options = cached
    in_memory, lines = warned(
        load_image_folder, root, 3, "mean", FolderOptions(skip_bad=True, cache=False)
    )
    found, lines_of_first = warned(load_image_folder, root, 3, "mean", options)
    (kept,) = options.cache.iterdir()
    assert f"{root}: 0 MB of images are kept in {kept}" in lines_of_first
    assert kept.name.startswith("pets-")
    for part in PARTS:
        x = found[f"X_{part}"]
        assert isinstance(x, Prepared)
        np.testing.assert_array_equal(x[np.arange(len(x))], in_memory[f"X_{part}"], strict=True)
        np.testing.assert_array_equal(found[f"y_{part}"], in_memory[f"y_{part}"], strict=True)
    np.testing.assert_array_equal(found["mean"], in_memory["mean"])
    assert len(lines) == 2  # the size of most images, and the file that was left out
    assert len(lines_of_first) == 3


def test_the_cache_is_used_again_while_the_files_are_the_same(cached, monkeypatch):
    root, options = cached
    first, lines = warned(read_image_folder, root, None, options)
    with monkeypatch.context() as patch:
        patch.setattr(folders, "read_files", None)
        patch.setattr(folders, "measured", None)
        again, same = warned(read_image_folder, root, None, options)
    assert same == [line for line in lines if "are kept in" not in line]
    np.testing.assert_array_equal(again.parts[""][0][:], first.parts[""][0][:], strict=True)
    assert again.fit == first.fit
    with pytest.raises(DataError, match="an empty file"):  # bad files are left out by wish alone
        read_image_folder(root, None, FolderOptions(cache=options.cache))
    for change in ("content", "name", "time", "size"):
        number = len(list(options.cache.iterdir()))
        match change:
            case "content":
                write_image(root / "cat" / "0.png", (4, 6, 3), seed=9)
            case "name":
                (root / "cat" / "1.png").rename(root / "cat" / "100.png")
            case "time":
                os.utime(root / "cat" / "2.png", ns=(0, 0))
            case "size":
                options = FolderOptions(8, skip_bad=True, cache=options.cache)
        warned(read_image_folder, root, None, options)
        assert len(list(options.cache.iterdir())) == number + 1, change


def test_a_run_that_ends_while_it_writes_leaves_no_file(cached, monkeypatch):
    root, options = cached

    def stopped(*arguments):
        yield np.zeros((3, 4, 6), np.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "read_files", stopped)
    with pytest.warns(DataWarning), pytest.raises(KeyboardInterrupt):
        read_image_folder(root, None, options)
    assert list(options.cache.iterdir()) == []


def test_images_that_are_too_many_for_memory_are_kept_in_the_user_s_cache(tmp_path, monkeypatch):
    write_classes(tmp_path / "pets")
    monkeypatch.setattr(folders, "_os_cache", lambda: tmp_path / "cache")
    raw = read_image_folder(tmp_path / "pets")
    assert isinstance(raw.parts[""][0], np.ndarray)
    monkeypatch.setattr(folders, "IN_MEMORY", 10 * 72 - 1)
    assert isinstance(
        read_image_folder(tmp_path / "pets", None, FolderOptions(cache=False)).parts[""][0],
        np.ndarray,
    )
    raw, _ = warned(read_image_folder, tmp_path / "pets")
    assert not isinstance(raw.parts[""][0], np.ndarray)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_without_a_user_s_cache_few_images_are_read_and_many_say_what_lacks(tmp_path, monkeypatch):
    write_classes(tmp_path / "pets")
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert isinstance(read_image_folder(tmp_path / "pets").parts[""][0], np.ndarray)
    monkeypatch.setattr(folders, "IN_MEMORY", 0)
    with pytest.raises(ConvkitError, match=r"no other is named \(--cache-dir\), needs the module"):
        read_image_folder(tmp_path / "pets")
    warned(read_image_folder, tmp_path / "pets", None, FolderOptions(cache=tmp_path / "cache"))


class Idle:
    """A model that computes nothing."""

    def __init__(self):
        self.params = {"p": np.zeros(1)}

    def loss(self, X, y=None):
        return np.zeros((len(X), 2)) if y is None else (1.0, {"p": np.zeros(1)})


@pytest.mark.parametrize("preparation", ["mean", "standardise"])
def test_less_memory_than_all_images_take_is_needed(tmp_path, preparation, monkeypatch):
    write_classes(tmp_path / "pets", n=100, shape=(64, 64, 3))
    monkeypatch.setattr(rows, "CHUNK", 2**16)
    monkeypatch.setattr(reading, "AHEAD", 8)
    raw = 200 * 64 * 64 * 3
    load_image_folder(tmp_path / "pets", options=FolderOptions(64, cache=False))  # what it imports
    tracemalloc.start()
    try:
        with pytest.warns(DataWarning, match="are kept in"):
            data = load_image_folder(
                tmp_path / "pets", 0, preparation, FolderOptions(cache=tmp_path / "cache")
            )
        solver = Solver(Idle(), data, batch_size=5, num_epochs=1, num_train_samples=5, rng=0)
        solver.verbose, solver.num_val_samples = False, 5
        solver.train()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(solver.loss_history) == 28
    assert peak < raw / 2
