"""Folders of runs: they appear with their first files in them, and never replace another.

The first files are written into a hidden folder in the same directory, which is then renamed in one
step of the file system; later ones are written whole or not at all (:mod:`convkit.files`). Two runs
that begin at the same moment get two names.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from convkit.errors import DataError, ParameterError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FOLDER_NAME_RULE = "up to 100 letters, digits, '.', '_' or '-', and start with a letter or digit"


def is_folder_name(name: str) -> bool:
    """Whether a run's folder may have this name."""
    return _NAME.fullmatch(name) is not None


@dataclass
class NewFolder:
    """A run's folder: where it is written (``work``), and its name (``final``).

    The two are one once it is published. Once ``worth_keeping`` is set, the folder outlives an
    exception.
    """

    work: Path
    final: Path
    worth_keeping: bool = False

    def publish(self) -> None:
        """Give the folder its name, with what is in it by now; nothing where it has it.

        Raises ParameterError or OSError where another has taken the name meanwhile.
        """
        if self.work != self.final:
            _publish(self)
            self.work = self.final


def check_free(root: Path, name: str | None) -> None:
    """Raise ParameterError where ``name`` is no folder name or is taken."""
    if name is None:
        return
    if not is_folder_name(name):
        raise ParameterError(f"--name (={name!r}) must be {FOLDER_NAME_RULE}")
    if (root / name).exists():
        raise ParameterError(
            f"--name (={name!r}) must be new, but {root / name} exists; choose another name"
        )


@contextmanager
def new_folder(root: Path, name: str | None, stem: str) -> Iterator[NewFolder]:
    """Yield a folder to write a run into; it has its name when the block ends, or once published.

    Its name is ``name``, or ``stem`` with the date and time, and a number where that is taken.
    Where the block raises, nothing is left, unless it has called the folder ``worth_keeping``: then
    the folder gets its name all the same. Raises ParameterError where ``name`` is taken.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = _reserve(root, name) if name else _reserve_dated(root, stem)
    try:
        yield folder
    except BaseException:
        if folder.worth_keeping:
            folder.publish()
        else:
            shutil.rmtree(folder.work, ignore_errors=True)
        raise
    folder.publish()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a run's folder against other processes, where the system can.

    Raises DataError where another process has it. The end of a process, however it comes, frees it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"RUN (={str(folder)!r}) must be at rest, but another process is training in it"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(number)


def _publish(folder: NewFolder) -> None:
    """Give a folder its final name; where that fails, remove it unless it is worth keeping."""
    try:
        # mkdir fails where a folder exists, and a folder can be renamed onto an empty one. So
        # nothing that another process created meanwhile is replaced.
        folder.final.mkdir()
        folder.work.rename(folder.final)
    except OSError as error:
        if folder.worth_keeping:
            raise ParameterError(
                f"{folder.final} must be new, but cannot be created any more "
                f"({error.strerror}); the run's files are in {folder.work}"
            ) from error
        shutil.rmtree(folder.work, ignore_errors=True)
        raise


def _reserve(root: Path, name: str) -> NewFolder:
    """Reserve ``name`` by creating its hidden folder, which only one run can do."""
    work = root / f".{name}.partial"
    try:
        work.mkdir()
    except FileExistsError:
        raise ParameterError(
            f"--name (={name!r}) must be new, but another run is writing {work}; choose another "
            "name, or remove that folder if its run was killed"
        ) from None
    try:
        # This answer is final: the hidden folder reserves the name.
        check_free(root, name)
    except ParameterError:
        work.rmdir()
        raise
    return NewFolder(work, root / name)


def _reserve_dated(root: Path, stem: str) -> NewFolder:
    """Reserve the first free name: ``stem`` and the time, with a number from the second try on."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip("._-")[:60] or "run"
    dated = f"{plain}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in count(1):
        name = dated if number == 1 else f"{dated}-{number}"
        try:
            return _reserve(root, name)
        except ParameterError:
            continue
    raise AssertionError("count() does not end")
