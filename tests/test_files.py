"""Files are there whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from convkit.files import atomic_write, write_bytes, write_text


class StopError(Exception):
    """Raised on purpose."""


def test_text_and_bytes_are_written_as_given(tmp_path):
    write_text(tmp_path / "t", "größe\r\n")
    write_bytes(tmp_path / "b", b"\x00\xff")
    assert (tmp_path / "t").read_bytes() == "größe\r\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "f"
    path.write_text("old")

    def write():
        with atomic_write(path, "w") as file:
            file.write("half")
            raise error

    with pytest.raises(error):
        write()
    assert os.listdir(tmp_path) == ["f"]
    assert path.read_text() == "old"


def test_nothing_has_the_name_before_the_end(tmp_path):
    with atomic_write(tmp_path / "f", "w") as file:
        file.write("x")
        assert not (tmp_path / "f").exists()
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "new", "x")
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == stat.S_IMODE(
        os.stat(tmp_path / "plain").st_mode
    )
    os.chmod(tmp_path / "new", 0o640)
    write_text(tmp_path / "new", "y")
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o640
