"""Where runs are kept: a folder appears whole or not at all, and never replaces another.

A run is written into a hidden folder beside its place and then renamed, which the file system does
in one step.  Two runs that end at the same moment get two names.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from convkit.errors import ParameterError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FOLDER_NAME_RULE = "up to 100 letters, digits, '.', '_' or '-', and start with a letter or digit"


def is_folder_name(name: str) -> bool:
    """Whether a run's folder may have this name."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class NewFolder:
    """A run's folder while it is written (``work``) and once it is there (``final``)."""

    work: Path
    final: Path


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
    """Give a folder to write a run into; it takes its place under ``root`` when the block ends.

    Its name is ``name``, or ``stem`` with the date and time, and a number where that is taken.
    Where the block raises, nothing is left.  Raises ParameterError where ``name`` is taken.
    """
    root.mkdir(parents=True, exist_ok=True)
    place = _reserve(root, name) if name else _reserve_dated(root, stem)
    try:
        yield place
        # Creating fails where a folder exists, and a folder can be renamed onto an empty one: so
        # nothing that appeared meanwhile is replaced.
        place.final.mkdir()
        place.work.rename(place.final)
    except BaseException:
        # Only where it is still ours: once renamed, the hidden name may be another run's.
        shutil.rmtree(place.work, ignore_errors=True)
        raise


def _reserve(root: Path, name: str) -> NewFolder:
    """Take ``name`` by creating its hidden folder, which only one run can do."""
    work = root / f".{name}.partial"
    try:
        work.mkdir()
    except FileExistsError:
        raise ParameterError(
            f"--name (={name!r}) must be new, but another run is writing {work}; choose another "
            "name, or remove that folder if its run was killed"
        ) from None
    try:
        # Only now is the answer final: who holds the hidden folder holds the name.
        check_free(root, name)
    except ParameterError:
        work.rmdir()
        raise
    return NewFolder(work, root / name)


def _reserve_dated(root: Path, stem: str) -> NewFolder:
    """Take the first free name made of ``stem``, now, and a number from the second try on."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip("._-")[:60] or "run"
    stamp = f"{plain}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in count(1):
        name = stamp if number == 1 else f"{stamp}-{number}"
        try:
            return _reserve(root, name)
        except ParameterError:
            continue
    raise AssertionError("count() does not end")
