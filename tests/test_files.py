"""Files are there whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading

import pytest

from convkit import ParameterError
from convkit.files import atomic_write, check_destination, write_bytes, write_text


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


@pytest.mark.parametrize("there", [True, False], ids=["file", "nothing yet"])
def test_a_link_stays_a_link(tmp_path, there):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    if there:
        target.write_text("old")
        os.chmod(target, 0o640)
    (tmp_path / "between").symlink_to("folder/target")
    (tmp_path / "link").symlink_to("between")
    check_destination("--json", tmp_path / "link")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "between").is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path / "folder") == ["target"]
    assert not there or stat.S_IMODE(os.stat(target).st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_written_into_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    check_destination("--json", pipe)
    write_text(pipe, "größe")
    reader.join(10)
    assert read == ["größe"]
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "link"])
def test_dev_stdout_is_written_into_whatever_it_is(tmp_path, name):
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = (
        "import sys; from convkit.files import write_text; print('before', flush=True); "
        "write_text(sys.argv[1], 'text\\n'); print('after')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / name) if name == "link" else name]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stdout == "before\ntext\nafter\n"
    with open(tmp_path / "out", "w") as file:
        subprocess.run(command, stdout=file, check=True)
        inode = os.fstat(file.fileno()).st_ino
    assert os.stat(tmp_path / "out").st_ino == inode
    assert (tmp_path / "out").read_text() == "before\ntext\nafter\n"
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no /dev/null")
def test_dev_null_stays_a_device():
    check_destination("--json", os.devnull)
    write_bytes(os.devnull, b"x")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_destinations_are_refused_before_the_work(tmp_path):
    with pytest.raises(ParameterError) as caught:
        check_destination("--json", tmp_path / "no" / "f")
    assert str(caught.value) == (
        f"--json (='{tmp_path}/no/f') must be in a folder that exists, but {tmp_path}/no does not; "
        "create it first"
    )
    with pytest.raises(ParameterError, match="must be a file, but it is a folder"):
        check_destination("--json", tmp_path)
    (tmp_path / "link").symlink_to("no/f")
    with pytest.raises(ParameterError, match=r"must be in a folder that exists, but .*/no does"):
        check_destination("--json", tmp_path / "link")
    check_destination("--json", tmp_path / "f")
    assert os.listdir(tmp_path) == ["link"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ParameterError, match="permission denied"):
        check_destination("--json", tmp_path / "f")
