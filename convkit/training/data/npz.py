"""Images and labels from a user's .npz file.

Only plain arrays are read: NumPy itself rejects a file that needs pickle.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.images import WHITE
from convkit.training.data.dataset import Dataset, Parts, Preparation, Raw, assembled

__all__ = ["load_npz", "raw_parts", "read_npz"]

MAX_UNNAMED = 1000
"""So many classes need no names; more need as many images. Memory grows with their number."""
MOST = float(np.finfo(np.float32).max) / 4
"""Images become float32, and the mean is subtracted from them."""


def load_npz(
    path: str | os.PathLike[str],
    rng: int | np.random.Generator | None = 0,
    preparation: Preparation = "mean",
) -> Dataset:
    """Load the arrays ``X`` and ``y``, or ``X_train``, ``y_train``, ``X_test``, ``y_test``.

    Case is ignored. ``X_val`` and ``y_val`` are optional, and drawn from the training images
    otherwise. X is (N, C, H, W), or (N, H, W) for one channel; with ``layout`` = "NHWC" in
    the file it is (N, H, W, C). Values: uint8 and uint16 are scaled to [0, 1], others are
    used unscaled. All parts have one dtype. y (N,) or (N, 1) holds integers from 0, which
    ``class_names`` may name, or texts, which are the classes' names.
    """
    return assembled(read_npz(path).divided(rng), preparation)


def read_npz(path: str | os.PathLike[str]) -> Raw:
    """Return what :func:`load_npz` loads, as it is in the file."""
    arrays = _read(Path(path))
    layout = _text(arrays.pop("layout", ""))
    if layout not in ("", "NCHW", "NHWC"):
        raise DataError(f"{path}: expected layout 'NCHW' or 'NHWC', found {layout!r}")
    names = [_text(name) for name in np.ravel(arrays.pop("class_names", np.empty(0)))]
    known = [{"x", "y"}] + [
        {f"{kind}_{part}" for kind in "xy" for part in parts}
        for parts in (("train", "test"), ("train", "val", "test"))
    ]
    if set(arrays) not in known:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(
            f"{path}: expected the arrays X and y, or X_train, y_train, X_test, y_test "
            f"(and X_val, y_val), found {found}"
        )
    groups = sorted({key[1:] for key in arrays})
    names = _number_texts(path, arrays, groups, names)
    parts = {
        group[1:]: _check(f"{path}: X{group}", arrays[f"x{group}"], arrays[f"y{group}"], layout)
        for group in groups
    }
    return raw_parts(path, parts, names)


def raw_parts(path: str | os.PathLike[str], parts: Parts, names: list[str]) -> Raw:
    """Return checked parts: one named "" to be divided, or train, test [and val].

    Raises DataError where they do not make one, with ``path`` in its message.
    """
    _check_dtypes(path, parts)
    shapes = {x.shape[1:] for x, _ in parts.values()}
    if len(shapes) > 1:
        raise DataError(f"{path}: expected images of one size in all parts, found {sorted(shapes)}")
    last = max(int(y.max()) for _, y in parts.values())
    if names and last >= len(names):
        raise DataError(f"{path}: expected labels 0 to {len(names) - 1}, found {last}")
    most = max(MAX_UNNAMED, sum(len(y) for _, y in parts.values()))
    if not names and last >= most:
        raise DataError(
            f"{path}: expected labels below {most} where no class_names name them, found {last}; "
            "number the classes from 0 (np.unique(y, return_inverse=True))"
        )
    white = WHITE.get(next(iter(parts.values()))[0].dtype, 1.0)
    names = names or [str(label) for label in range(last + 1)]
    return Raw(parts, names, white=white, scale=1 / white, where=os.fspath(path))


def _text(value: Any) -> str:
    """Return a text that may be bytes, as NumPy's dtype S has it, or an array of one."""
    item = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return item.decode("utf-8", "backslashreplace") if isinstance(item, bytes) else str(item)


def _number_texts(
    path: str | os.PathLike[str],
    arrays: dict[str, npt.NDArray[Any]],
    groups: list[str],
    names: list[str],
) -> list[str]:
    """Replace labels that are texts by their numbers; return the classes' names."""
    labels = [arrays[f"y{group}"] for group in groups]
    if not all(y.dtype.kind in "US" and y.size for y in labels):
        return names
    texts = {group: [_text(item) for item in arrays[f"y{group}"].flat] for group in groups}
    found = sorted(set().union(*texts.values()))
    if names and not set(found) <= set(names):
        raise DataError(
            f"{path}: expected labels among class_names, found "
            f"{next(text for text in found if text not in names)!r}"
        )
    names = names or found
    number = {text: place for place, text in enumerate(names)}
    for group, ours in texts.items():
        shape = arrays[f"y{group}"].shape
        arrays[f"y{group}"] = np.array([number[text] for text in ours]).reshape(shape)
    return names


def _check_dtypes(path: str | os.PathLike[str], parts: Parts) -> None:
    """Raise DataError where parts differ in dtype: one would be scaled and the other not."""
    dtypes = {part: x.dtype for part, (x, _) in parts.items()}
    if len(set(dtypes.values())) > 1:
        found = ", ".join(f"{dtype} in {part}" for part, dtype in dtypes.items())
        raise DataError(f"{path}: expected images of one dtype in all parts, found {found}")


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file by lower-case name."""
    if not path.is_file():
        raise DataError(f"{path}: expected an .npz file, found no such file")
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise DataError(f"{path}: expected an .npz file, found a single array")
        with file:
            _check_names(path, file.files)
            return {name.lower(): _native(file[name]) for name in file.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        size = path.stat().st_size
        raise DataError(
            f"{path}: expected an .npz file of plain arrays, found {size} bytes that are not one "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None


def _check_names(path: Path, names: list[str]) -> None:
    """Raise DataError where two names differ in case alone."""
    lower = [name.lower() for name in names]
    twins = [name for name in names if lower.count(name.lower()) > 1]
    if twins:
        raise DataError(
            f"{path}: expected names that differ in more than case, found {' and '.join(twins)}"
        )


def _native(member: Any) -> Any:
    """Return an array in this machine's byte order, and any other member of a file as it is."""
    if not isinstance(member, np.ndarray):
        return member
    return member.astype(member.dtype.newbyteorder("="), copy=False)


def _check(
    where: str, x: npt.NDArray[Any], y: npt.NDArray[Any], layout: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return images as (N, C, H, W) and their labels, checked."""
    if x.dtype.kind not in "buif" or x.ndim not in (3, 4) or 0 in x.shape:
        raise DataError(
            f"{where}: expected numbers of shape (N, C, H, W) or (N, H, W), "
            f"found {x.dtype} of shape {x.shape}"
        )
    if x.ndim == 3:
        x = x[:, None]
    elif not layout and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise DataError(
            f"{where}: expected (N, C, H, W), found shape {x.shape}, which looks like channels "
            "last: add layout='NHWC' to the file (or 'NCHW' where it is meant so)"
        )
    elif layout == "NHWC":
        x = np.moveaxis(x, 3, 1)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError(f"{where}: expected finite numbers, found NaN or infinity")
    if x.dtype.kind == "f" and max(-float(x.min()), float(x.max())) > MOST:
        raise DataError(
            f"{where}: expected numbers within {MOST:.3g}, found {x.min()} to {x.max()}"
        )
    if y.shape == (len(x), 1):
        y = y[:, 0]
    if y.shape != (len(x),) or y.dtype.kind not in "ui":
        raise DataError(
            f"{where}: expected {len(x)} integer labels, found {y.dtype} of shape {y.shape}"
        )
    if y.min() < 0:
        raise DataError(f"{where}: expected labels from 0, found {y.min()}")
    return x, y
