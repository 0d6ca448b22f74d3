"""Pickles of arrays are read; what a pickle may do besides is not done."""

from __future__ import annotations

import os
import pickle
import pickletools
import re

import numpy as np
import pytest

from convkit import DataError
from convkit.training.data.pickles import read_pickle

ARRAYS = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), b"labels": [0, 1], b"label": b"cat"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_lists_numbers_and_bytes_come_back(protocol):
    found = read_pickle("file", pickle.dumps(ARRAYS, protocol))
    assert list(found) == list(ARRAYS)
    np.testing.assert_array_equal(found[b"data"], ARRAYS[b"data"])
    assert found[b"data"].dtype == np.uint8
    assert (found[b"labels"], found[b"label"]) == ([0, 1], b"cat")


def test_strings_of_python_2_come_back_as_bytes():
    content = b"(dS'label'\nS'cat'\ns."
    assert read_pickle("file", content) == {b"label": b"cat"}


class Program:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_program_is_refused_and_not_run(tmp_path):
    content = pickle.dumps([Program(tmp_path / "ran")])
    assert any(op.name in ("GLOBAL", "STACK_GLOBAL") for op, *_ in pickletools.genops(content))
    said = r"^file: expected a pickle of NumPy arrays only, found the name '\w+\.system', which is"
    with pytest.raises(DataError, match=said):
        read_pickle("file", content)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["numpy.core.multiarray.scalar", "builtins.eval", "numpy.load"])
def test_a_name_that_no_array_needs_is_refused(name):
    module, _, attribute = name.rpartition(".")
    with pytest.raises(DataError, match=f"found the name '{re.escape(name)}', which is not read"):
        read_pickle("file", f"c{module}\n{attribute}\n.".encode())


def test_an_empty_file_and_a_cut_one_say_so():
    with pytest.raises(
        DataError, match=r"^file: expected a pickle of arrays, found an empty file$"
    ):
        read_pickle("file", b"")
    whole = pickle.dumps(ARRAYS, 4)
    for end in (1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(DataError, match=f"found {end} bytes that are cut short or not one"):
            read_pickle("file", whole[:end])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_any_array_of_numbers_comes_back_in_every_protocol(protocol):
    arrays = {
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "strided": np.arange(20, dtype=np.int16)[::3],
        "big-endian": np.arange(3, dtype=">u4"),
        "scalar": np.array(2.5),
        "empty": np.empty((0, 3), np.float32),
        "bytes": [b"", b"\xff\x00", "\u00e9"],
    }
    found = read_pickle("file", pickle.dumps(arrays, protocol))
    np.testing.assert_equal(found, arrays)
    for name, array in arrays.items():
        if isinstance(array, np.ndarray):
            assert found[name].dtype == array.dtype.newbyteorder("="), name  # as pickle itself


def call(module, name, *arguments):
    """A pickle that calls a function, with plain arguments."""
    return b"c%s\n%s\n" % (module.encode(), name.encode()) + pickle.dumps(arguments, 0)[:-1] + b"R."


@pytest.mark.parametrize(
    "content",
    [
        call("_codecs", "encode", "x", "rot13"),
        call("_codecs", "encode", "x", "idna"),
        call("_codecs", "decode", "x", "latin1"),
        call("__builtin__", "bytes", 2**40),
        call("numpy._core.numeric", "_frombuffer", "x", "O", (1,), "C"),
        call("numpy._core.numeric", "_frombuffer", 5, "u1", (1,), "C"),
        call("builtins", "bytearray", 5),
    ],
)
def test_what_is_admitted_does_no_more_than_an_array_needs(content):
    with pytest.raises(DataError):
        read_pickle("file", content)
