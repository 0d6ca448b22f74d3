"""Where CIFAR-10's files are: a folder or an archive, in the binary or the Python layout.

Finds and reads bytes, which :mod:`convkit.training.data.cifar10` decodes. Nothing is unpacked to
disk, and an archive with a member that points outside its folder is rejected whole.
"""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convkit.errors import DataError

__all__ = ["BINARY", "PICKLED", "Files", "Layout", "find_files"]

# The largest official file has 31 million bytes; an archive that promises more is not read on.
MAX_MEMBER = 64 * 2**20


@dataclass(frozen=True)
class Layout:
    """The names of one of the two versions."""

    folder: str
    archive: str
    training: tuple[str, ...]
    test: str
    names: str

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name that is read, the list of class names last: it may be missing."""
        return (*self.training, self.test, self.names)


BINARY = Layout(
    "cifar-10-batches-bin",
    "cifar-10-binary.tar.gz",
    tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test_batch.bin",
    "batches.meta.txt",
)
PICKLED = Layout(
    "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
    tuple(f"data_batch_{i}" for i in range(1, 6)),
    "test_batch",
    "batches.meta",
)
LAYOUTS = (BINARY, PICKLED)


class Files:
    """The files of one layout in one place, read by name."""

    def __init__(self, where: Path, layout: Layout, contents: dict[str, bytes | Path]):
        self.where, self.layout, self._contents = where, layout, contents

    def __contains__(self, name: str) -> bool:
        return name in self._contents

    def read(self, name: str) -> tuple[str, bytes]:
        """Return (what to call the file in a message, its bytes)."""
        where = str(self.where / name)
        if name not in self:
            raise DataError(f"{where}: expected a file of CIFAR-10, found no such file")
        content = self._contents[name]
        try:
            return where, content if isinstance(content, bytes) else content.read_bytes()
        except OSError as error:
            raise DataError(
                f"{where}: expected a file of CIFAR-10, found one that cannot be read "
                f"({error.strerror})"
            ) from None


def find_files(path: Path) -> Files:
    """Find the files in a folder, in one of its official subfolders, or in an archive."""
    if path.is_file():
        return _in_archive(path)
    for folder in (path, *(path / layout.folder for layout in LAYOUTS)):
        for layout in LAYOUTS:
            found = {name: folder / name for name in layout.all_names if (folder / name).is_file()}
            if found.keys() & {*layout.training, layout.test}:
                return Files(folder, layout, {**found})
    for layout in LAYOUTS:
        if (path / layout.archive).is_file():
            return _in_archive(path / layout.archive)
    expected = " or ".join(name for layout in LAYOUTS for name in (layout.folder, layout.archive))
    if not path.is_dir():
        found_instead = "no such folder"
    else:
        names = sorted(entry.name for entry in path.iterdir())
        found_instead = ", ".join(names[:5]) + (", ..." if names[5:] else "") or "an empty folder"
    raise DataError(f"{path}: expected {expected}, found {found_instead}")


def _in_archive(path: Path) -> Files:
    """Read what an archive has of either layout."""
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                content = _member(path, archive, member)
                if content is not None:
                    contents[PurePosixPath(member.name).name] = content
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise DataError(
            f"{path}: expected a tar archive of CIFAR-10, found {path.stat().st_size} bytes that "
            f"are cut short or not one ({reason})"
        ) from None
    for layout in LAYOUTS:
        if contents.keys() & {*layout.training, layout.test}:
            return Files(path, layout, {**contents})
    raise DataError(f"{path}: expected an archive of CIFAR-10, found none of its files in it")


def _member(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    """Return the bytes of a member that is wanted, or None."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        raise DataError(
            f"{path}: expected members inside the archive's folder, found {member.name!r}"
        )
    wanted = any(name.name in layout.all_names for layout in LAYOUTS)
    if not wanted or member.isdir():
        return None
    if not member.isfile() or member.size > MAX_MEMBER:
        found = f"{member.size} bytes" if member.isfile() else "a link or a device"
        raise DataError(
            f"{path}: expected {member.name!r} to be a file of at most {MAX_MEMBER} bytes, "
            f"found {found}"
        )
    file = archive.extractfile(member)
    assert file is not None  # it is a file
    with file:
        return file.read()
