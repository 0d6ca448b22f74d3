"""CIFAR-10 in every official form, small and at full count, and every way it can be wrong."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from convkit import DataError, ParameterError
from convkit.training.data import cifar10, cifar10_files, download, picture
from convkit.training.data.cifar10 import CLASSES, get_CIFAR10_data
from convkit.training.data.pickles import read_pickle

PARTS = ("train", "val", "test")


def records(n, seed):
    """Return n random images as rows of pixels, and labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), np.uint8), rng.integers(0, 10, n).astype(np.uint8)


def as_binary(pixels, labels):
    return np.hstack([labels[:, None], pixels]).tobytes()


def python2_string(text: bytes) -> bytes:
    """Return the opcode of a Python 2 string, which is what the official files hold."""
    return b"T" + len(text).to_bytes(4, "little") + text


def as_pickle(pixels, labels, core="numpy.core.multiarray"):
    """Return a batch as Python 2 pickled it: protocol 2, byte strings, NumPy's old names."""
    shape = b"K\x01M" + len(pixels).to_bytes(2, "little") + b"M\x00\x0c\x86"
    dtype = (
        b"cnumpy\ndtype\n" + python2_string(b"u1") + b"K\x00K\x01\x87R"
        b"(K\x03" + python2_string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = (
        f"c{core}\n_reconstruct\ncnumpy\nndarray\n".encode()
        + b"K\x00\x85" + python2_string(b"b") + b"\x87R("
        + shape + dtype + b"\x89" + python2_string(pixels.tobytes()) + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = python2_string(b"data") + array + python2_string(b"labels") + listed
    return b"\x80\x02}(" + items + b"u."


def write_folder(folder, encode, n=12, n_test=7, names=True):
    """Write six files of one layout; return the pixels of all training images and of the tests."""
    binary = encode is as_binary
    layout = cifar10_files.BINARY if binary else cifar10_files.PICKLED
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate((*layout.training, layout.test)):
        count = n_test if name == layout.test else n
        (folder / name).write_bytes(encode(*records(count, seed)))
    if names:
        listed = [f"name{i}" for i in range(10)]
        content = ("\n".join(listed) + "\n\n").encode()
        if not binary:
            content = pickle.dumps({"label_names": listed}, protocol=2)
        (folder / layout.names).write_bytes(content)
    train = np.concatenate([records(n, seed)[0] for seed in range(5)])
    return train, records(n_test, 5)[0]


def write_archive(path, folder):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)


def error_of(data_dir, **counts):
    with pytest.raises(DataError) as caught:
        get_CIFAR10_data(data_dir=data_dir, **counts)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- every official form ----------------------------------------------------------------------


def assert_small(data, train, test):
    assert [len(data[f"y_{part}"]) for part in PARTS] == [59, 1, 7]
    pictures = np.concatenate([picture(data, data[f"X_{part}"]) for part in PARTS])
    np.testing.assert_array_equal(pictures.reshape(-1, 3072), np.concatenate([train, test]))
    labels = np.concatenate([data[f"y_{part}"] for part in PARTS])
    counts = (12, 12, 12, 12, 12, 7)
    expected = [records(n, seed)[1] for seed, n in enumerate(counts)]
    np.testing.assert_array_equal(labels, np.concatenate(expected))
    assert data["class_names"] == [f"name{i}" for i in range(10)]


@pytest.mark.parametrize("encode", [as_binary, as_pickle])
@pytest.mark.parametrize("place", ["folder", "around", "archive", "archive in a folder"])
def test_every_form_gives_the_same_images(tmp_path, encode, place):
    binary = encode is as_binary
    layout = cifar10_files.BINARY if binary else cifar10_files.PICKLED
    folder = tmp_path / "source" / layout.folder
    train, test = write_folder(folder, encode)
    where = {"folder": folder, "around": folder.parent}.get(place)
    if where is None:
        archive = tmp_path / layout.archive
        write_archive(archive, folder)
        where = archive if place == "archive" else tmp_path
    assert_small(get_CIFAR10_data(data_dir=where), train, test)
    assert_small(get_CIFAR10_data(data_dir=str(where)), train, test)


def test_pickles_with_the_names_of_numpy_2(tmp_path):
    train, test = write_folder(
        tmp_path, lambda *batch: as_pickle(*batch, core="numpy._core.multiarray")
    )
    assert_small(get_CIFAR10_data(data_dir=tmp_path), train, test)


def test_pickles_of_this_numpy_and_python_3(tmp_path):
    def encode(pixels, labels):
        return pickle.dumps({"data": pixels, "labels": labels.tolist()}, protocol=4)

    train, test = write_folder(tmp_path, encode)
    assert_small(get_CIFAR10_data(data_dir=tmp_path), train, test)


def test_the_official_names_where_the_files_have_none(tmp_path):
    write_folder(tmp_path, as_binary, names=False)
    assert get_CIFAR10_data(data_dir=tmp_path)["class_names"] == list(CLASSES)


def test_reading_an_archive_writes_nothing(tmp_path):
    write_folder(tmp_path / "d" / "cifar-10-batches-bin", as_binary)
    archive = tmp_path / "only" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir()
    write_archive(archive, tmp_path / "d" / "cifar-10-batches-bin")
    before = sorted(tmp_path.rglob("*"))
    get_CIFAR10_data(data_dir=archive.parent)
    assert sorted(tmp_path.rglob("*")) == before


# --- how many images --------------------------------------------------------------------------


def test_counts_that_fit_are_taken_from_the_front(tmp_path):
    train, test = write_folder(tmp_path, as_binary)
    data = get_CIFAR10_data(30, 10, 5, subtract_mean=False, data_dir=tmp_path)
    assert [len(data[f"y_{part}"]) for part in PARTS] == [30, 10, 5]
    np.testing.assert_array_equal(data["X_train"].reshape(-1, 3072), train[:30])
    np.testing.assert_array_equal(data["X_val"].reshape(-1, 3072), train[30:40])
    np.testing.assert_array_equal(data["X_test"].reshape(-1, 3072), test[:5])
    assert not data["mean"].any()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, 1), (49, 1), (100, 2), (4999, 99), (5000, 500), (5170, 500), (24999, 500), (30000, 600)],
)
def test_how_small_files_are_divided(count, expected):
    files = cifar10_files.Files(Path("here"), cifar10_files.BINARY, {})
    assert cifar10._divide(files, count) == (count - expected, expected)


def test_the_mean_is_subtracted(tmp_path):
    train, _ = write_folder(tmp_path, as_binary)
    data = get_CIFAR10_data(40, 10, 5, data_dir=tmp_path)
    np.testing.assert_allclose(data["mean"].ravel(), train[:40].mean(axis=0), rtol=1e-6)
    assert np.abs(data["X_train"].mean(axis=0)).max() < 1e-4


@pytest.mark.parametrize("name", ["num_training", "num_validation", "num_test"])
def test_counts_are_checked(tmp_path, name):
    with pytest.raises(ParameterError, match=rf"^{name} \(=0\) must be an integer of at least 1$"):
        get_CIFAR10_data(data_dir=tmp_path, **{name: 0})


# --- wrong files ------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 3072, b"\x00" * 3074])
def test_binary_files_that_are_empty_cut_short_or_foreign(tmp_path, content):
    write_folder(tmp_path, as_binary)
    (tmp_path / "data_batch_3.bin").write_bytes(content)
    assert error_of(tmp_path) == (
        f"{tmp_path / 'data_batch_3.bin'}: expected records of 3073 bytes, at least one and none "
        f"cut short, found {len(content)} bytes"
    )


@pytest.mark.parametrize("encode", [as_binary, as_pickle])
def test_labels_beyond_the_classes(tmp_path, encode):
    write_folder(tmp_path, encode)
    pixels, labels = records(12, 9)
    labels[4] = 17
    name = "test_batch.bin" if encode is as_binary else "test_batch"
    (tmp_path / name).write_bytes(encode(pixels, labels))
    assert error_of(tmp_path) == (
        f"{tmp_path / name}: expected labels 0 to 9, found 17 in record 4"
    )


@pytest.mark.parametrize("encode", [as_binary, as_pickle])
def test_a_missing_file(tmp_path, encode):
    write_folder(tmp_path, encode)
    name = "data_batch_5.bin" if encode is as_binary else "data_batch_5"
    (tmp_path / name).unlink()
    expected = f"{tmp_path / name}: expected a file of CIFAR-10, found no such file"
    assert error_of(tmp_path) == expected


def test_a_folder_that_is_missing_empty_or_foreign(tmp_path):
    expected = (
        "expected cifar-10-batches-bin or cifar-10-binary.tar.gz or cifar-10-batches-py or "
        "cifar-10-python.tar.gz, found "
    )
    assert error_of(tmp_path / "none") == f"{tmp_path / 'none'}: {expected}no such folder"
    assert error_of(tmp_path) == f"{tmp_path}: {expected}an empty folder"
    for i in range(7):
        (tmp_path / f"{i}.txt").touch()
    found = "0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ..."
    assert error_of(tmp_path) == f"{tmp_path}: {expected}{found}"


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", 0), (b"one two", 2), (b"\xff\xfe\n" * 3, 3)],
)
def test_a_list_of_names_that_is_none(tmp_path, content, found):
    write_folder(tmp_path, as_binary)
    (tmp_path / "batches.meta.txt").write_bytes(content)
    path = tmp_path / "batches.meta.txt"
    assert error_of(tmp_path) == f"{path}: expected 10 class names, found {found}"


@pytest.mark.parametrize("meta", [{"label_names": ["a"]}, {"other": 1}, [1]])
def test_a_pickled_list_of_names_that_is_none(tmp_path, meta):
    write_folder(tmp_path, as_pickle)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    assert "batches.meta: expected 10 class names, found " in error_of(tmp_path)


PIXELS, LABELS = records(4, 0)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], "expected under 'data' bytes of shape (N, 3072), found nothing"),
        ({"labels": [1]}, "expected under 'data' bytes of shape (N, 3072), found nothing"),
        ({"data": [1]}, "expected under 'data' bytes of shape (N, 3072), found a list"),
        ({"data": PIXELS[:, :5]}, "expected under 'data' bytes of shape (N, 3072), found uint8 of"),
        (
            {"data": PIXELS * 1.0},
            "expected under 'data' bytes of shape (N, 3072), found float64 of",
        ),
        ({"data": PIXELS[:0]}, "expected under 'data' bytes of shape (N, 3072), found uint8 of sh"),
        ({"data": PIXELS}, "expected under 'labels' a list of 4 labels, found nothing"),
        ({"data": PIXELS, "labels": [1]}, "expected under 'labels' a list of 4 labels, found a li"),
        ({"data": PIXELS, "labels": LABELS}, "expected under 'labels' a list of 4 labels, found a"),
        ({"data": PIXELS, "labels": ["a"] * 4}, "expected integers under 'labels', found other ob"),
        ({"data": PIXELS, "labels": [0, -1, 0, 0]}, "expected labels 0 to 9, found -1 in record 1"),
    ],
)
def test_pickles_of_something_else(tmp_path, batch, message):
    write_folder(tmp_path, as_pickle)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=4))
    assert error_of(tmp_path).startswith(f"{tmp_path / 'data_batch_1'}: {message}")


# --- pickles that would run something ---------------------------------------------------------


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.mkdir, eval, np.fromfile])
def test_a_pickle_cannot_call_anything(tmp_path, protocol, function):
    write_folder(tmp_path, as_pickle)
    target = tmp_path / "created"
    argument = f"__import__('os').mkdir({str(target)!r})" if function is eval else str(target)
    content = pickle.dumps({"data": Evil(function, argument)}, protocol=protocol)
    (tmp_path / "data_batch_1").write_bytes(content)
    message = error_of(tmp_path)
    assert "expected a pickle of NumPy arrays only, found the name " in message
    assert message.endswith(", which is not read")
    assert not target.exists()


@pytest.mark.parametrize(
    "name",
    [
        "numpy\nload",
        "numpy\nsave",
        "numpy\nndarray.tofile",
        "numpy.core.multiarray\nscalar",
        "numpy.ndarray\n__class__",
        "builtins\ngetattr",
        "_codecs\ndecode",
    ],
)
def test_only_the_names_that_arrays_need_are_admitted(name):
    module, attribute = name.split("\n")
    for content in (
        f"c{name}\n.".encode(),
        b"\x80\x04" + b"".join(
            b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute)
        ) + b"\x93.",
    ):  # fmt: skip
        with pytest.raises(DataError) as caught:
            read_pickle("f", content)
        assert str(caught.value) == (
            f"f: expected a pickle of NumPy arrays only, found the name '{module}.{attribute}', "
            "which is not read"
        )


def test_every_cut_of_a_pickle_is_refused():
    content = as_pickle(*records(1, 0))
    for end in [*range(200), *range(len(content) - 30, len(content))]:
        with pytest.raises(DataError, match=r"^f: expected a pickle of arrays, found "):
            read_pickle("f", content[:end])


def test_noise_is_refused_in_one_line_or_read():
    rng = np.random.default_rng(0)
    good = as_pickle(*records(1, 0))
    messages = []
    for _ in range(300):
        content = bytearray(good)
        for place in rng.integers(0, 250, 3):
            content[place] = rng.integers(256)
        try:
            read_pickle("f", bytes(content))
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert not any("\n" in message for message in messages)


# --- wrong archives ---------------------------------------------------------------------------


def make_archive(path, members, tmp_path):
    """Write an archive of the good files of a folder and of TarInfo objects beside them."""
    folder = tmp_path / "good" / "cifar-10-batches-bin"
    write_folder(folder, as_binary)
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        archive.add(folder, folder.name)


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "cifar-10-batches-bin/../../evil", "..\\evil", "a/.."]
)
def test_an_archive_that_points_outside_is_refused(tmp_path, name):
    path = tmp_path / "inner" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    make_archive(path, [(tarfile.TarInfo(name), b"evil")], tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert error_of(path) == (
        f"{path}: expected members inside the archive's folder, found {name!r}"
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_an_archive_are_not_followed(tmp_path, kind):
    member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
    member.type, member.linkname = kind, "/etc/passwd"
    path = tmp_path / "a.tar.gz"
    make_archive(path, [(member, b"")], tmp_path)
    assert error_of(path).endswith("found a link or a device")


def test_a_member_too_large_to_be_meant_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_files, "MAX_MEMBER", 5000)
    path = tmp_path / "a.tar.gz"
    make_archive(path, [], tmp_path)
    assert error_of(path).endswith("to be a file of at most 5000 bytes, found 36876 bytes")


@pytest.mark.parametrize("cut", [0, 10, 20000, -30])
def test_an_archive_cut_short(tmp_path, cut):
    path = tmp_path / "a.tar.gz"
    make_archive(path, [], tmp_path)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    assert error_of(path).startswith(
        f"{path}: expected a tar archive of CIFAR-10, found {len(content)} bytes that are cut short"
    )


def test_archives_of_something_else(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"hello world, this is no archive" * 100)
    assert "expected a tar archive of CIFAR-10, found 3100 bytes" in error_of(path)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "test.py")
    assert error_of(path) == (
        f"{path}: expected an archive of CIFAR-10, found none of its files in it"
    )


# --- download ---------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve an archive of good small files as the download; yield (content, list of requests)."""
    pooch = pytest.importorskip("pooch")
    folder = tmp_path / "served" / "cifar-10-batches-bin"
    write_folder(folder, as_binary)
    write_archive(tmp_path / "served.tar.gz", folder)
    state = {"content": (tmp_path / "served.tar.gz").read_bytes(), "requests": 0}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state["requests"] += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(state["content"])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_port}/cifar-10-binary.tar.gz"
        monkeypatch.setattr(cifar10, "URL", url)
        monkeypatch.setattr(cifar10, "SIZE", len(state["content"]))
        monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(state["content"]).hexdigest())
        monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield state
        httpd.shutdown()
        thread.join()


def cached(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_download_is_checked_and_kept(tmp_path, server):
    for _ in range(2):
        assert len(get_CIFAR10_data()["y_test"]) == 7
    assert server["requests"] == 1
    assert len(cached(tmp_path)) == 1


def test_a_download_of_another_size_is_not_kept(tmp_path, server):
    size = len(server["content"])
    server["content"] = server["content"][:-5]
    expected = f"{cifar10.URL}: expected {size} bytes, found {size - 5}"
    assert error_of(None) == expected
    assert cached(tmp_path) == []


def test_a_download_with_another_sum_is_not_kept(tmp_path, server):
    server["content"] = bytes(reversed(server["content"]))
    expected = f"{cifar10.URL}: expected a file with SHA-256 {cifar10.SHA256}, found another"
    assert error_of(None) == expected
    assert cached(tmp_path) == []


def test_a_spoilt_copy_in_the_cache_is_downloaded_again(tmp_path, server):
    get_CIFAR10_data()
    (path,) = cached(tmp_path)
    path.write_bytes(b"spoilt")
    assert len(get_CIFAR10_data()["y_test"]) == 7
    assert server["requests"] == 2


def test_no_connection(tmp_path, server, monkeypatch):
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:1/cifar-10-binary.tar.gz")
    message = error_of(None)
    assert message.startswith("http://127.0.0.1:1/cifar-10-binary.tar.gz: expected a download of ")
    assert message.endswith("download it elsewhere and give its folder as data_dir")
    assert cached(tmp_path) == []


def test_a_cache_that_cannot_be_written(tmp_path, server, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(download.require("pooch", ""), "os_cache", lambda name: tmp_path / "file")
    message = error_of(None)
    assert message.startswith(f"{tmp_path / 'file'}: expected a folder to keep {cifar10.URL} in")
    assert message.endswith("download it elsewhere and give its folder as data_dir")
    assert (tmp_path / "file").read_bytes() == b""


def test_the_published_size_and_sum():
    assert download.__name__ == "convkit.training.data.download"
    assert cifar10.SIZE == 170052171
    assert cifar10.SHA256 == "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("keys", [("data", "labels"), (b"data", b"labels")])
def test_batches_that_python_3_pickled_are_read_in_every_protocol(tmp_path, protocol, keys):
    def encode(pixels, labels):
        return pickle.dumps(dict(zip(keys, (pixels, labels.tolist()), strict=True)), protocol)

    write_folder(tmp_path / "python 3", encode)
    write_folder(tmp_path / "python 2", as_pickle)
    found, expected = (
        get_CIFAR10_data(data_dir=tmp_path / name) for name in ("python 3", "python 2")
    )
    np.testing.assert_equal(found, expected)
