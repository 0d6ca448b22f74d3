"""Which files of a folder are the images of which class and part, and what is skipped.

Names decide, and what a file's first bytes say where its name says nothing; no image is decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from convkit.errors import DataError
from convkit.images import has_image_suffix, header
from convkit.names import printable

__all__ = ["PART_NAMES", "Listing", "list_folder"]

PART_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""The names of folders that are parts, in lower case."""


@dataclass
class Listing:
    """The image files of every class, in each part; the part of an undivided folder is "".

    ``skipped`` are the files that are no images, and the folders in which there is nothing.
    """

    root: Path
    parts: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in order."""
        return sorted(next(iter(self.parts.values())))

    def files(self) -> Iterator[tuple[str, int, Path]]:
        """Yield (part, label, file) of every image."""
        for part, by_class in self.parts.items():
            for label, name in enumerate(self.classes):
                for file in by_class.get(name, ()):
                    yield part, label, file


def list_folder(path: str | os.PathLike[str]) -> Listing:
    """Return the images of ``FOLDER/<class>/`` or ``FOLDER/<part>/<class>/``.

    Names that begin with a dot are no part of it. Raises DataError where there is no class, where
    parts have different ones, and for an image or a folder of images in a place that says no class.
    """
    listing = Listing(Path(path))
    if not listing.root.is_dir():
        raise DataError(
            f"{_text(listing.root)}: expected a folder of class folders, found no such folder"
        )
    folders = _parts(listing.root)
    empty: dict[str, set[str]] = {}
    for part, folder in folders.items():
        listing.parts[part], empty[part] = _classes(listing, folder)
    if listing.root not in folders.values():
        _skip_others(listing, set(folders.values()))
    _check_classes(listing, folders, empty)
    return listing


def _text(path: Path) -> str:
    return printable(str(path))


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files in a folder, by name."""
    folders: list[Path] = []
    files: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                (folders if entry.is_dir() else files).append(folder / entry.name)
    return sorted(folders), sorted(files)


def _parts(root: Path) -> dict[str, Path]:
    """Return the folders that are parts, "train" first, or the root as the part ""."""
    folders, _ = _entries(root)
    named = [folder for folder in folders if folder.name.lower() in PART_NAMES]
    # Classes may be called so too: those hold images, and parts hold folders.
    named = [folder for folder in named if _entries(folder)[0]]
    parts: dict[str, Path] = {}
    for folder in sorted(named, key=lambda folder: list(PART_NAMES).index(folder.name.lower())):
        part = PART_NAMES[folder.name.lower()]
        if part in parts:
            raise DataError(
                f"{_text(root)}: expected one folder of each part, found {parts[part].name} and "
                f"{folder.name}"
            )
        parts[part] = folder
    if "train" not in parts:
        return {"": root}
    return {"": parts["train"]} if len(parts) == 1 else parts


def _skip_others(listing: Listing, parts: set[Path]) -> None:
    """Skip what lies beside the folders of the parts, or refuse it."""
    folders, files = _entries(listing.root)
    for folder in folders:
        if folder in parts:
            continue
        if _holds_images(folder):
            names = ", ".join(sorted(part.name for part in parts))
            raise DataError(f"{_text(folder)}: expected no images beside {names}, found some")
        listing.skipped.append(folder)
    _images(listing, files, "expected a folder of images of one class, found a file")


def _classes(listing: Listing, folder: Path) -> tuple[dict[str, list[Path]], set[str]]:
    """Return the images of every class, and the names of classes without any."""
    folders, files = _entries(folder)
    if not folders and not files:
        raise DataError(f"{_text(folder)}: expected one folder per class, found an empty folder")
    _images(listing, files, "expected a folder of images of one class, found a file")
    classes: dict[str, list[Path]] = {}
    empty = set()
    for entry in folders:
        inner, found = _entries(entry)
        for nested in inner:
            if _holds_images(nested):
                raise DataError(f"{_text(nested)}: expected images of one class, found a folder")
            listing.skipped.append(nested)
        images = _images(listing, found)
        if images:
            classes[entry.name] = images
        else:
            empty.add(entry.name)
            listing.skipped.append(entry)
    return classes, empty


def _images(listing: Listing, files: list[Path], refusal: str = "") -> list[Path]:
    """Return the files that are images, or raise for one where there must be none; skip others."""
    images = []
    for file in files:
        if not has_image_suffix(file) and not _opens(file):
            listing.skipped.append(file)
            continue
        if refusal:
            raise DataError(f"{_text(file)}: {refusal}")
        images.append(file)
    return images


def _holds_images(folder: Path) -> bool:
    """Whether there is an image somewhere in a folder."""
    return any(has_image_suffix(file) for file in folder.rglob("[!.]*"))


def _opens(file: Path) -> bool:
    """Whether a file is an image, whatever its name says."""
    try:
        header(file)
    except DataError:
        return False
    return True


def _check_classes(listing: Listing, folders: dict[str, Path], empty: dict[str, set[str]]) -> None:
    """Raise DataError where there is no class, or where parts differ in theirs."""
    first = next(iter(folders))
    classes = listing.classes
    if not classes:
        raise DataError(
            f"{_text(folders[first])}: expected one folder of images per class, found no image"
        )
    for part, found in listing.parts.items():
        known = {*found, *empty[part]}
        if not found or not {*found} <= {*classes} <= known:
            names, theirs = (", ".join(printable(c) for c in sorted(n)) for n in (classes, found))
            raise DataError(
                f"{_text(folders[part])}: expected the classes {names}, found {theirs or 'none'}"
            )
