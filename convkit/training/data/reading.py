"""From image files to images of one size and mode: what they become, and reading them.

Files are read by several threads, a few at a time, so the memory does not grow with their number.
A file that cannot be read is named; left out, it takes no row.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, ParameterError
from convkit.images import FITS, MODES, WHITE, Fit, header
from convkit.preprocessing import Preprocessing

__all__ = ["Bad", "Wanted", "dtype_of", "measured", "read_files"]

Found = TypeVar("Found")
Form: TypeAlias = tuple[tuple[int, int], int, float]  # (height, width), channels, white

THREADS = min(8, os.cpu_count() or 1)
AHEAD = 64
"""So many files are read before they are asked for."""
LARGE = 256 * 256
"""Images of more pixels are seldom what one trains on."""


@dataclass(frozen=True)
class Wanted:
    """What images are to become; None: what most of them are.

    ``size`` is (height, width), or a number for both; ``mode`` a name of ``images.MODES``; ``fit``
    how they are brought to the size.
    """

    size: int | tuple[int, int] | None = None
    mode: str | None = None
    fit: Fit | None = None

    def __post_init__(self) -> None:
        sizes = self.sizes
        if sizes is not None and (len(sizes) != 2 or not all(_is_count(size) for size in sizes)):
            raise ParameterError(
                f"size (={self.size!r}) must be a number of pixels, at least 1, or (height, width)"
            )
        if self.mode is not None and self.mode not in MODES.values():
            raise ParameterError(
                f"mode (={self.mode!r}) must be one of {', '.join(MODES.values())}"
            )
        if self.fit is not None and self.fit not in FITS:
            raise ParameterError(f"fit (={self.fit!r}) must be one of {', '.join(FITS)}")

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """(height, width), or None."""
        if self.size is None or isinstance(self.size, tuple | list):
            return None if self.size is None else tuple(self.size)
        return (self.size, self.size)

    @property
    def channels(self) -> int | None:
        """Those of the mode, or None."""
        return None if self.mode is None else list(MODES.values()).index(self.mode) + 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


class Bad(dict[int, str]):
    """The files that could not be read: their places in the list of all, and why.

    Without ``skip`` the first of them is a DataError.
    """

    def __init__(self, skip: bool) -> None:
        super().__init__()
        self.skip = skip

    def add(self, place: int, error: DataError) -> None:
        """Note a file that cannot be read."""
        if not self.skip:
            raise DataError(f"{error}; skip_bad (--skip-bad) leaves such files out") from None
        self[place] = str(error)


def measured(files: Sequence[Path], wanted: Wanted, bad: Bad) -> tuple[Preprocessing, str | None]:
    """Return what files become, and a line where it was not asked for and they differ.

    No pixel is decoded. What is not wanted explicitly is what most files have.
    """
    found: Counter[Form] = Counter()
    with closing(_in_threads(_tried(header), files)) as heads:
        for place, head in enumerate(heads):
            if isinstance(head, DataError):
                bad.add(place, head)
            else:
                found[head.size, head.channels, WHITE.get(head.dtype, 1.0)] += 1
    if not found:
        raise DataError(f"expected images, found none of {len(files)} files that can be read")
    size: Any = wanted.sizes or _most(found, 0)
    number = wanted.channels or _most(found, 1)
    white = _most(found, 2)
    preprocessing = Preprocessing((number, *size), 1.0, 0.0, white, wanted.fit or "crop")
    return preprocessing, _remark(found, wanted, preprocessing)


def _most(found: Counter[Form], part: int) -> Any:
    """Return what most files have of a part of their forms; of equally many, what comes first."""
    counts: Counter[Any] = Counter()
    for form, count in found.items():
        counts[form[part]] += count
    return counts.most_common(1)[0][0]


def _remark(found: Counter[Form], wanted: Wanted, chosen: Preprocessing) -> str | None:
    """Return a line on a size or mode that most files have and others not, or None."""
    sizes, channels, whites = (len({form[i] for form in found}) for i in range(3))
    height, width = chosen.size
    remarks = []
    if (wanted.size is None and sizes > 1) or (wanted.mode is None and channels > 1) or whites > 1:
        form = (height, width), chosen.shape[0], chosen.white
        remarks.append(
            f"most images are {width}x{height} {chosen.mode}; the {found.total() - found[form]} of "
            f"{found.total()} that differ are brought to that (fit: {chosen.fit})"
            if wanted.size is None and wanted.mode is None
            else f"all images become {width}x{height} {chosen.mode} (fit: {chosen.fit})"
        )
    if wanted.size is None and height * width > LARGE:
        remarks.append(f"images of {width}x{height} pixels train slowly; a smaller size: --size")
    return "; ".join(remarks) or None


def dtype_of(preprocessing: Preprocessing) -> np.dtype[Any]:
    """Return the dtype that holds what a preprocessing reads, exactly."""
    whole = {white: dtype for dtype, white in WHITE.items()}
    return whole.get(preprocessing.white, np.dtype(np.float32))


def read_files(
    files: Sequence[Path], preprocessing: Preprocessing, bad: Bad
) -> Generator[npt.NDArray[Any]]:
    """Yield the raw values (C, H, W) of every file that can be read, in their order.

    Files that are known to be bad are not tried again. Close it where it is left early.
    """
    dtype = dtype_of(preprocessing)
    places = [place for place in range(len(files)) if place not in bad]

    def read(file: Path) -> npt.NDArray[Any]:
        return preprocessing.read(file).astype(dtype, copy=False)

    with closing(_in_threads(_tried(read), [files[place] for place in places])) as images:
        for place, image in zip(places, images, strict=True):
            if isinstance(image, DataError):
                bad.add(place, image)
            else:
                yield image


def _tried(function: Callable[[Path], Found]) -> Callable[[Path], Found | DataError]:
    """Return a function that returns its DataErrors."""

    def tried(file: Path) -> Found | DataError:
        try:
            return function(file)
        except DataError as error:
            return error

    return tried


def _in_threads(function: Callable[[Path], Found], files: Sequence[Path]) -> Generator[Found]:
    """Yield a function of every file in order; a bounded number of results waits to be taken.

    When it is exhausted or closed, no thread is at work any more. While one is, warnings may be
    lost: see ``images._quietly``.
    """
    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for file in files:
                waiting.append(pool.submit(function, file))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the reader has stopped early
            for future in waiting:
                future.cancel()
