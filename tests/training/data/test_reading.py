"""What images of mixed sizes and modes become, and files that cannot be read."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from data_cases import error_of, images

from convkit import DataError, ParameterError
from convkit.preprocessing import Preprocessing
from convkit.training.data import reading
from convkit.training.data.reading import Bad, Wanted, dtype_of, measured, read_files

Image = pytest.importorskip("PIL.Image")


def write(root, *shapes, dtype=np.uint8):
    files = []
    for number, shape in enumerate(shapes):
        files.append(root / f"{number}.png")
        Image.fromarray(images(1, *shape, seed=number)[0].astype(dtype)).save(files[-1])
    return files


def test_the_most_frequent_size_and_mode_each_by_itself(tmp_path):
    files = write(tmp_path, (4, 6, 3), (4, 6), (4, 6), (5, 5, 3), (5, 5, 3), (6, 4, 3), (4, 6, 4))
    found, remark = measured(files, Wanted(), Bad(False))
    assert found == Preprocessing((3, 4, 6), white=255, fit="crop")
    assert remark == (
        "most images are 6x4 rgb; the 6 of 7 that differ are brought to that (fit: crop)"
    )
    assert measured(files[:1], Wanted(), Bad(False))[1] is None


def test_of_equally_frequent_ones_the_first(tmp_path):
    files = write(tmp_path, (5, 5), (4, 6, 3))
    assert measured(files, Wanted(), Bad(False))[0].shape == (1, 5, 5)


def test_what_is_wanted_is_what_they_become(tmp_path):
    files = write(tmp_path, (4, 6, 3), (5, 5))
    found, remark = measured(files, Wanted((7, 8), "rgba", "pad"), Bad(False))
    assert (found, remark) == (Preprocessing((4, 7, 8), white=255, fit="pad"), None)
    found, remark = measured(files, Wanted(9), Bad(False))
    assert found.shape == (3, 9, 9)
    assert remark == "all images become 9x9 rgb (fit: crop)"  # for the mode was not asked for


def test_large_images_are_remarked_on(tmp_path):
    files = write(tmp_path, (300, 300))
    assert measured(files, Wanted(64), Bad(False))[1] is None
    remark = measured(files, Wanted(), Bad(False))[1]
    assert remark == "images of 300x300 pixels train slowly; a smaller size: --size"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"size": 0}, "size (=0) must be a number of pixels, at least 1, or (height, width)"),
        ({"size": (3, 4, 5)}, "size (=(3, 4, 5)) must be a number of pixels"),
        ({"size": (3, -1)}, "size (=(3, -1)) must be"),
        ({"size": "64"}, "size (='64') must be"),
        ({"mode": "cmyk"}, "mode (='cmyk') must be one of gray, gray-alpha, rgb, rgba"),
        ({"fit": "zoom"}, "fit (='zoom') must be one of crop, pad, stretch"),
    ],
)
def test_what_cannot_be_wanted(wanted, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        Wanted(**wanted)


def test_images_are_what_a_network_s_preprocessing_reads(tmp_path):
    files = write(tmp_path, (4, 6, 3), (9, 5), (30, 20, 4))
    for preprocessing in (
        Preprocessing((3, 4, 6), white=255),
        Preprocessing((1, 8, 8), white=65535, fit="pad"),
        Preprocessing((3, 8, 8), white=1, fit="stretch"),
    ):
        found = list(read_files(files, preprocessing, Bad(False)))
        for image, file in zip(found, files, strict=True):
            assert image.dtype == dtype_of(preprocessing)
            np.testing.assert_array_equal(image, preprocessing.read(file))


def test_sixteen_bits_among_eight_become_what_most_are(tmp_path):
    eight = write(tmp_path, (4, 4), (4, 4))
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(deep)
    found, remark = measured([*eight, deep], Wanted(), Bad(False))
    assert found.white == 255
    assert "the 1 of 3 that differ" in remark
    (read,) = read_files([deep], found, Bad(False))
    assert (read == 255).all()
    assert measured([deep, *eight[:1]], Wanted(), Bad(False))[0].white == 65535


@pytest.fixture
def with_bad(tmp_path):
    """Five files: the second is no image, and of the fourth the end lacks."""
    files = write(tmp_path, *[(40, 40, 3)] * 5)
    files[1].write_bytes(b"hello")
    files[3].write_bytes(files[3].read_bytes()[:-2000])
    return files


def test_a_file_that_cannot_be_read_is_named(with_bad):
    found = error_of(measured, with_bad, Wanted(), Bad(False))
    assert found.startswith(f"{with_bad[1]}: expected an image, found cannot identify image file")
    assert found.endswith("; skip_bad (--skip-bad) leaves such files out")
    rows = read_files(with_bad[2:], Preprocessing((3, 40, 40), white=255), Bad(False))
    with pytest.raises(DataError, match=re.escape(str(with_bad[3]))):
        list(rows)


def test_files_that_cannot_be_read_are_left_out(with_bad):
    bad = Bad(True)
    preprocessing, _ = measured(with_bad, Wanted(), bad)
    assert list(bad) == [1]
    with_bad[1].write_bytes(with_bad[0].read_bytes())  # too late: what it is has not been counted
    rows = list(read_files(with_bad, preprocessing, bad))
    assert list(bad) == [1, 3]
    for row, place in zip(rows, (0, 2, 4), strict=True):
        np.testing.assert_array_equal(row, preprocessing.read(with_bad[place]))
    with_bad[1].write_bytes(b"")
    assert error_of(measured, with_bad[1:2], Wanted(), Bad(True)).startswith("expected images")


def test_no_more_files_are_read_than_are_asked_for_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "AHEAD", 4)
    read, lock = [], threading.Lock()

    def note(file):
        with lock:
            read.append(file)
        return file

    results = reading._in_threads(note, list(range(100)))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert len(read) <= 3 + 4 + 1
