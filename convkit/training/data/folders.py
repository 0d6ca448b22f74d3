"""Images from a folder with one folder per class.

``FOLDER/<class>/<image>``, or divided into parts, ``FOLDER/train/<class>/<image>``, with ``test``
or ``val`` (or ``valid``, ``validation``) or both beside it. Names that begin with a dot, files that
are no images and empty folders are skipped.

Where the images are too many for memory, or a folder is named for it, they are decoded once into a
file there, from which training reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from convkit.errors import ConvkitError, DataError, ParameterError
from convkit.images import Fit
from convkit.names import printable
from convkit.optional import require
from convkit.preprocessing import Preprocessing
from convkit.training.data.dataset import Dataset, Parts, Preparation, Raw, assembled
from convkit.training.data.listing import Listing, list_folder
from convkit.training.data.npz import raw_parts
from convkit.training.data.reading import Bad, Wanted, dtype_of, measured, read_files
from convkit.training.data.rows import Subset
from convkit.training.data.stored import SUFFIX, open_stored, write_stored

__all__ = ["DataWarning", "FolderOptions", "load_image_folder", "read_image_folder"]

Cache: TypeAlias = str | os.PathLike[str] | Literal[False] | None

IN_MEMORY = 2**27
"""Bytes of raw values beyond which images are read from a file. In memory they take six times as
much while a data set is made, because prepared images are float32."""
NAMED = 5
"""So many files are named in a warning."""
FORMAT = 1
"""Counts up where the same files would become other images."""


class DataWarning(UserWarning):
    """What a data set was made of is perhaps not what was meant."""


@dataclass(frozen=True)
class FolderOptions:
    """How a folder of images is read.

    Parameters
    ----------
    size:
        (height, width) in pixels, or one number for both; None: what most images have.
    mode:
        "gray", "gray-alpha", "rgb" or "rgba"; None: what most images have.
    fit:
        How an image of another size is brought to it: "crop" (None too), "pad" or "stretch".
    skip_bad:
        Leave out files that cannot be read, with a warning.
    cache:
        A folder in which the decoded images are kept, in a file for each source and size. None:
        the user's cache, where memory would hold them with difficulty. False: never.
    """

    size: int | tuple[int, int] | None = None
    mode: str | None = None
    fit: Fit | None = None
    skip_bad: bool = False
    cache: Cache = None

    @property
    def wanted(self) -> Wanted:
        """What images are to become."""
        return Wanted(self.size, self.mode, self.fit)


def load_image_folder(
    path: str | os.PathLike[str],
    rng: int | np.random.Generator | None = 0,
    preparation: Preparation = "mean",
    options: FolderOptions | None = None,
) -> Dataset:
    """Load all images in one size and mode; classes by name.

    ``rng`` draws the parts that the folder does not have. Warns (DataWarning) of files that are
    skipped, and of images that are brought to the size and mode of most of them.
    """
    return assembled(read_image_folder(path, None, options).divided(rng), preparation)


def read_image_folder(
    path: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    options: FolderOptions | None = None,
) -> Raw:
    """Return what :func:`load_image_folder` loads, as it is in the files.

    With a network's preprocessing the images get the network's size and mode, and its scale.
    """
    options = options or FolderOptions()
    if preprocessing is not None and options.wanted != Wanted():
        raise ParameterError("size, mode and fit are those of the preprocessing; leave them out")
    options.wanted  # noqa: B018 - wrong ones are said before anything is read
    listing = list_folder(path)
    _warn_of_skipped(listing)
    entries = list(listing.files())
    source = _Source(listing.root, [file for _, _, file in entries], preprocessing, options)
    images, about = source.images()
    kept = [entry for place, entry in enumerate(entries) if str(place) not in about["bad"]]
    _warn_of_bad(listing.root, about["bad"])
    parts = _in_parts(images, kept)
    _check_all_there(listing, parts)
    raw = raw_parts(listing.root, parts, [printable(name) for name in listing.classes])
    raw = replace(raw, fit=about["fit"])
    return raw if preprocessing is None else replace(raw, white=preprocessing.white)


class _Source:
    """The images of files, in memory or in a file of the cache."""

    def __init__(
        self,
        root: Path,
        files: Sequence[Path],
        preprocessing: Preprocessing | None,
        options: FolderOptions,
    ) -> None:
        self.root, self.files, self.options = root, files, options
        self.preprocessing = preprocessing

    def images(self) -> tuple[Any, dict[str, Any]]:
        """Return the images (N, C, H, W) of files that can be read, and what is known of them.

        That is "bad", the other files by their places, with the reason, and "fit".
        """
        place = self._place()
        stored = open_stored(place) if place else None
        if stored is not None and (self.options.skip_bad or not stored.about["bad"]):
            _warn_of(self.root, stored.about["remark"])
            return Subset(stored, np.arange(len(stored))), stored.about
        bad, remark = Bad(self.options.skip_bad), None
        chosen = self.preprocessing
        if chosen is None:
            try:
                chosen, remark = measured(self.files, self.options.wanted, bad)
            except DataError as error:
                raise DataError(_located(self.root, str(error))) from None
        _warn_of(self.root, remark)
        row = np.empty(chosen.shape, dtype_of(chosen))
        about = {"fit": chosen.fit, "remark": remark, "bad": bad}
        large = row.nbytes * len(self.files) > IN_MEMORY
        if self.options.cache is not False and (self.options.cache or large):
            place = place or _os_cache()  # which says what it lacks
            size = f"{row.nbytes * len(self.files) / 1e6:,.0f} MB"
            _warn_of(self.root, f"{size} of images are kept in {printable(str(place))}")
            about |= {"shape": row.shape, "dtype": row.dtype.str}
            with closing(read_files(self.files, chosen, bad)) as rows:
                stored = write_stored(place, rows, about)
            return Subset(stored, np.arange(len(stored))), stored.about
        images = np.empty((len(self.files), *row.shape), row.dtype)
        count = 0
        with closing(read_files(self.files, chosen, bad)) as rows:
            for image in rows:
                images[count] = image
                count += 1
        return images[:count], {**about, "bad": {str(i): why for i, why in bad.items()}}

    def _place(self) -> Path | None:
        """Return the file of the cache that is for these files as they are now; None: no cache."""
        given = self.options.cache
        if given is False:
            return None
        try:
            folder = Path(given) if given else _os_cache()
        except ConvkitError:  # few images need none
            return None
        config = self.preprocessing and self.preprocessing.config()
        shown = config and {name: config[name] for name in ("shape", "fit", "white")}
        settings = [FORMAT, require("PIL", "reading images").__version__]
        settings += [astuple(self.options.wanted), shown]
        digest = hashlib.sha256(json.dumps(settings).encode("ascii"))
        digest.update(os.fsencode(os.path.realpath(self.root)))
        for file in self.files:
            try:
                found = file.stat()
                size, changed = found.st_size, found.st_mtime_ns
            except OSError:  # a link to nothing
                size = changed = -1
            digest.update(os.fsencode(file.relative_to(self.root)))
            digest.update(f"\0{size} {changed}\n".encode("ascii"))
        name = re.sub(r"[^\w-]+", "_", printable(self.root.resolve().name), flags=re.ASCII)[:32]
        return folder / f"{name}-{digest.hexdigest()[:24]}{SUFFIX}"


def _os_cache() -> Path:
    purpose = "keeping images in the user's cache, where no other is named (--cache-dir),"
    return Path(require("pooch", purpose).os_cache("convkit")) / "images"


def _in_parts(images: Any, kept: Sequence[tuple[str, int, Path]]) -> Parts:
    """Return images and labels by part; ``kept`` says for each image where it belongs."""
    names = np.array([part for part, _, _ in kept])
    labels = np.array([label for _, label, _ in kept], np.int64)
    parts: Parts = {}
    for part in dict.fromkeys(names.tolist()):
        (chosen,) = np.nonzero(names == part)
        piece = slice(chosen[0], chosen[-1] + 1)  # the parts follow one another
        of_part = images[piece] if isinstance(images, np.ndarray) else images.take(chosen)
        parts[part] = of_part, labels[piece]
    return parts


def _check_all_there(listing: Listing, parts: Parts) -> None:
    """Raise DataError where nothing is left of a part, or of a class in the first one."""
    for part in listing.parts:
        if part not in parts:
            raise DataError(
                _located(listing.root, f"expected images in {part}, found none to read")
            )
    _, labels = parts[next(iter(listing.parts))]
    lost = np.setdiff1d(np.arange(len(listing.classes)), labels)
    if len(lost):
        name = printable(listing.classes[lost[0]])
        raise DataError(
            _located(listing.root, f"expected images of the class {name}, found none to read")
        )


def _located(root: Path, message: str) -> str:
    name = printable(str(root))
    return message if message.startswith(name) else f"{name}: {message}"


def _warn_of(root: Path, remark: str | None) -> None:
    if remark is not None:
        warnings.warn(_located(root, remark), DataWarning, stacklevel=4)


def _warn_of_skipped(listing: Listing) -> None:
    if listing.skipped:
        names = [printable(str(path.relative_to(listing.root))) for path in listing.skipped]
        _warn_of(listing.root, f"skipped what is no image, and empty folders: {_some(names)}")


def _warn_of_bad(root: Path, bad: dict[str, str]) -> None:
    if bad:
        count = f"{len(bad)} file{'s' if len(bad) > 1 else ''} that cannot be read"
        _warn_of(root, f"left out {count}: {_some(list(bad.values()))}")


def _some(names: Sequence[str]) -> str:
    """Return the first few names, and how many there are besides."""
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
