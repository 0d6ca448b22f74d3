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


PARTS_OF_TWO = {"y_train": np.arange(20) % 2, "y_test": np.arange(20) % 2}


@pytest.mark.parametrize(
    ("train", "test", "found"),
    [
        (GOOD["X"], GOOD["X"] / 255, "float64 in test, uint8 in train"),
        (GOOD["X"], GOOD["X"].astype(np.uint16), "uint16 in test, uint8 in train"),
        (np.float32(GOOD["X"]), GOOD["X"], "uint8 in test, float32 in train"),
        (GOOD["X"].astype(np.int16), GOOD["X"], "uint8 in test, int16 in train"),
    ],
)
def test_parts_of_different_dtypes_are_refused(tmp_path, train, test, found):
    np.savez(tmp_path / "d.npz", X_train=train, X_test=test, **PARTS_OF_TWO)
    assert error_of(load_npz, tmp_path / "d.npz") == (
        f"{tmp_path / 'd.npz'}: expected images of one dtype in all parts, found {found}"
    )


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "f8"])
def test_big_endian_arrays_mean_the_same_numbers(tmp_path, dtype):
    X = GOOD["X"].astype(f"<{dtype}")
    X[0] = 65535 if dtype == "u2" else X[0]
    np.savez(tmp_path / "little.npz", X=X, y=GOOD["y"])
    np.savez(tmp_path / "big.npz", X=X.astype(f">{dtype}"), y=GOOD["y"].astype(">i8"))
    little, big = (load_npz(tmp_path / name) for name in ("little.npz", "big.npz"))
    np.testing.assert_equal(big, little)
    assert dtype != "u2" or big["scale"] == 1 / 65535


def test_big_endian_beside_little_endian_is_one_dtype(tmp_path):
    X = GOOD["X"].astype("<u2")
    np.savez(tmp_path / "d.npz", X_train=X, X_test=X.astype(">u2"), **PARTS_OF_TWO)
    data = load_npz(tmp_path / "d.npz")
    assert data["scale"] == 1 / 65535
    assert np.abs(data["X_test"]).max() <= 1


def test_labels_of_shape_n_1(tmp_path):
    np.savez(tmp_path / "flat.npz", **GOOD)
    np.savez(tmp_path / "column.npz", X=GOOD["X"], y=GOOD["y"][:, None])
    np.testing.assert_equal(load_npz(tmp_path / "column.npz"), load_npz(tmp_path / "flat.npz"))


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_labels_that_are_texts_are_the_classes_names(tmp_path, dtype):
    y = np.array(["dog", "cat"])[GOOD["y"]].astype(dtype)
    np.savez(tmp_path / "d.npz", X=GOOD["X"], y=y)
    data = load_npz(tmp_path / "d.npz")
    assert data["class_names"] == ["cat", "dog"]
    expected = tmp_path / "numbers.npz"
    np.savez(expected, X=GOOD["X"], y=1 - GOOD["y"], class_names=["cat", "dog"])
    np.testing.assert_equal(data, load_npz(expected))


def test_labels_that_are_texts_take_the_order_of_class_names(tmp_path):
    y = np.array(["dog", "cat"])[GOOD["y"]]
    np.savez(tmp_path / "d.npz", X=GOOD["X"], y=y, class_names=["dog", "cat", "cow"])
    np.savez(tmp_path / "numbers.npz", **GOOD, class_names=["dog", "cat", "cow"])
    np.testing.assert_equal(load_npz(tmp_path / "d.npz"), load_npz(tmp_path / "numbers.npz"))
    np.savez(tmp_path / "d.npz", X=GOOD["X"], y=y, class_names=["dog", "cow"])
    message = error_of(load_npz, tmp_path / "d.npz")
    assert message.endswith("expected labels among class_names, found 'cat'")


@pytest.mark.parametrize("label", [1000, 5000, 2**31 - 1, 2**62])
def test_a_label_beyond_all_images_is_refused(tmp_path, label):
    y = GOOD["y"].copy()
    y[3] = label
    np.savez(tmp_path / "d.npz", X=GOOD["X"], y=y)
    message = error_of(load_npz, tmp_path / "d.npz")
    assert f"expected labels below 1000 where no class_names name them, found {label};" in message


def test_as_many_classes_as_images_need_no_names(tmp_path):
    np.savez(tmp_path / "d.npz", X=images(1200, 2, 2), y=np.arange(1200))
    assert len(load_npz(tmp_path / "d.npz")["class_names"]) == 1200


def test_class_names_as_bytes(tmp_path):
    np.savez(tmp_path / "d.npz", **GOOD, class_names=np.array([b"cat", "Käse".encode()]))
    assert load_npz(tmp_path / "d.npz")["class_names"] == ["cat", "Käse"]
    np.savez(tmp_path / "d.npz", **GOOD, layout=np.bytes_(b"NCHW"))
    assert load_npz(tmp_path / "d.npz")["X_train"].shape == (14, 1, 4, 4)


def test_x_beside_capital_x_is_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=GOOD["X"], **GOOD)
    message = error_of(load_npz, tmp_path / "d.npz")
    assert message.endswith("expected names that differ in more than case, found x and X")


@pytest.mark.parametrize("value", [1e300, -1e300, 3e38])
def test_numbers_beyond_float32_are_refused(tmp_path, value):
    X = GOOD["X"].astype(np.float64)
    X[0, 0, 0, 0] = value
    np.savez(tmp_path / "d.npz", X=X, y=GOOD["y"])
    assert "X: expected numbers within 8.51e+37, found " in error_of(load_npz, tmp_path / "d.npz")


@pytest.mark.parametrize("shape", [(20,), (20, 1)])
@pytest.mark.parametrize("kind", [">U5", "<U5", "S"])
def test_texts_in_any_byte_order_and_shape_in_every_part(tmp_path, kind, shape):
    texts = np.array(["dog", "cat", "eel"])
    y = texts[np.arange(20) % 2].astype(kind).reshape(shape)
    y_test = texts[np.arange(20) % 3].astype(kind).reshape(shape)
    np.savez(tmp_path / "d.npz", X_train=GOOD["X"], y_train=y, X_test=GOOD["X"], y_test=y_test)
    data = load_npz(tmp_path / "d.npz")
    assert data["class_names"] == ["cat", "dog", "eel"]  # of all parts together
    assert data["y_test"].tolist() == [[1, 0, 2][i % 3] for i in range(20)]


def test_texts_beside_numbers_are_refused(tmp_path):
    np.savez(
        tmp_path / "d.npz",
        X_train=GOOD["X"],
        y_train=np.array(["a", "b"])[GOOD["y"]],
        X_test=GOOD["X"],
        y_test=GOOD["y"],
    )
    message = error_of(load_npz, tmp_path / "d.npz")
    assert "expected 20 integer labels, found <U1" in message
