"""Files that are there whole or not at all.

A reader, or a run after a power cut, must never meet half a file: everything training and its
reports write goes through here. Never write to the final name directly.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["atomic_write", "write_bytes", "write_text"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Yield a file that takes the name ``path`` only when the block ends without an exception.

    ``mode`` is ``"wb"`` or ``"w"`` (UTF-8, line ends as written). The temporary file lies in the
    same folder, so the final rename cannot cross file systems; after an exception it is removed,
    and what was at ``path`` before is untouched.
    """
    target = Path(path)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
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
