"""Files that are there whole or not at all.

A reader, or a run after a power cut, must never meet half a file: everything training and its
reports write goes through here. Never write to the final name directly.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from convkit.errors import ParameterError

__all__ = ["atomic_write", "check_destination", "write_bytes", "write_text"]


def check_destination(name: str, path: str | os.PathLike[str]) -> None:
    """Raise ParameterError where the file ``name`` (=``path``) could not be written later."""
    target = Path(path)
    if target.is_dir():
        raise ParameterError(f"{name} (={str(path)!r}) must be a file, but it is a folder")
    if _written_into(target, check=True) is not None:
        return
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        raise ParameterError(
            f"{name} (={str(path)!r}) must be in a folder that exists, but {folder} does not; "
            "create it first"
        )
    if not os.access(folder, os.W_OK):
        raise ParameterError(f"{name} (={str(path)!r}) cannot be written: permission denied")


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Yield a file that takes the name ``path`` only when the block ends without an exception.

    ``mode`` is ``"wb"`` or ``"w"`` (UTF-8, line ends as written). The temporary file lies in the
    same folder, so the final rename cannot cross file systems; after an exception it is removed,
    and what was at ``path`` before is untouched.

    A link stays one, and the file that it names is replaced. What is no regular file (a pipe, a
    terminal, ``/dev/stdout``) is written into instead, as far as the block comes.
    """
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    stream = _written_into(Path(path))
    if stream is not None:
        with open(stream, mode, **text) as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(number, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _permissions(target))
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _written_into(path: Path, *, check: bool = False) -> str | int | None:
    """Return what to open where a file must not be replaced: a pipe, a device, an open file.

    An open file, such as ``/dev/stdout``, is a duplicate of its descriptor: one opened by its name
    would be cut to length 0, and have a position of its own. With ``check`` it is none, but -1.
    """
    for step in _links(path):
        if step.parent in (Path("/dev/fd"), Path("/proc/self/fd")) and step.name.isdigit():
            return -1 if check else os.dup(int(step.name))
    try:
        mode = path.stat().st_mode
    except OSError:  # not there yet, or a link to what is not there yet
        return None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else os.fspath(path)


def _links(path: Path) -> Iterator[Path]:
    """Yield a path, and what it links to, step by step."""
    for _ in range(40):  # as many as Linux follows
        yield Path(os.path.abspath(path))
        if not path.is_symlink():
            return
        path = path.parent / os.readlink(path)


def _permissions(target: Path) -> int:
    """Return the mode of the file to be replaced, else what ``open`` would give a new one."""
    try:
        return target.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file of bytes, whole or not at all."""
    with atomic_write(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write a file of UTF-8 text, whole or not at all."""
    with atomic_write(path, "w") as file:
        file.write(content)
