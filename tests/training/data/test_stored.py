"""Images in a file: whole or not at all, read by their indices, and sent to other processes."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from data_cases import error_of, images

from convkit.training.data import stored as stored_module
from convkit.training.data.stored import open_stored, write_stored

X = images(10, 3, 4, 5)
ABOUT = {"shape": (3, 4, 5), "dtype": "|u1", "note": "a"}


@pytest.fixture
def stored(tmp_path):
    return write_stored(tmp_path / "new" / "a.images", iter(X), ABOUT)


@pytest.mark.parametrize("preadv", [True, False], ids=["preadv", "seek"])
def test_rows_come_back_in_any_order(stored, preadv, monkeypatch):
    if not preadv:
        monkeypatch.delattr(stored_module.os, "preadv")
    assert (stored.shape, stored.dtype, len(stored)) == ((10, 3, 4, 5), np.uint8, 10)
    assert stored.about["note"] == "a"
    keys = (np.arange(10), np.array([9, 0, 1, 2, 2, 7, -1]), np.zeros(0, int), slice(3, 5))
    for key in keys:
        np.testing.assert_array_equal(stored[key], X[key], strict=True)
    with pytest.raises(IndexError):
        stored[np.array([10])]


def test_rows_of_other_dtypes(tmp_path):
    for dtype in (np.uint16, np.float32):
        rows = images(3, 1, 2, 2).astype(dtype)
        about = {"shape": (1, 2, 2), "dtype": rows.dtype.str}
        found = write_stored(tmp_path / "a.images", iter(rows), about)
        np.testing.assert_array_equal(found[np.arange(3)], rows, strict=True)


def test_it_goes_to_another_process(stored):
    again = pickle.loads(pickle.dumps(stored))
    np.testing.assert_array_equal(again[np.arange(10)], X, strict=True)
    content = pickle.dumps(stored)
    assert len(content) < X.nbytes
    write_stored(stored.path, iter(X[:4]), ABOUT)  # another data set under this name
    assert error_of(pickle.loads, content).endswith("found none or others")


def test_half_a_file_is_none(stored):
    content = stored.path.read_bytes()
    for wrong in (content[:-1], content[:100], content[10:], b"", b"convkit1", content * 2):
        stored.path.write_bytes(wrong)
        assert open_stored(stored.path) is None
    assert open_stored(stored.path.parent / "none") is None


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    def rows():
        yield X[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_stored(tmp_path / "a.images", rows(), ABOUT)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_cut_while_it_is_read_is_an_error(stored):
    os.truncate(stored.path, 60)
    np.testing.assert_array_equal(stored[np.array([0])], X[:1])
    assert error_of(stored.__getitem__, np.array([1])).endswith("found it cut short")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "a.images"
    message = error_of(write_stored, place, iter(X), ABOUT)
    assert message.startswith(f"{tmp_path / 'file'}: expected a folder to keep images in, found ")
    assert message.endswith("name another one as cache (--cache-dir)")


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    names = [".a.images.x1.tmp", ".b.images.x2.tmp", "mine.tmp", "old.images"]
    for name in names:
        (tmp_path / name).touch()
    for name in (names[0], *names[2:]):
        os.utime(tmp_path / name, (0, 0))
    write_stored(tmp_path / "c.images", iter(X), ABOUT)
    assert sorted(os.listdir(tmp_path)) == sorted([*names[1:], "c.images"])
