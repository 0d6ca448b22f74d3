"""Checks of a solver's arguments and of the state it loads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, DtypeError, ParameterError, ShapeError
from convkit.training.arrays import in_memory, source
from convkit.training.protocol import Model

__all__ = [
    "check_at_least",
    "check_same_arrays",
    "check_state",
    "first_loss_remark",
    "flat_labels",
    "images_and_labels",
    "rising_loss_remark",
]


def images_and_labels(
    data: Mapping[str, Any], part: str, *, least: int = 1
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the images and labels of "train" or "val", checked to be as many of each.

    Images that are not in memory stay where they are: see :func:`convkit.training.arrays.source`.
    """
    names = f"X_{part}", f"y_{part}"
    for name in names:
        if name not in data:
            raise ParameterError(f"data lacks {name!r}; it holds {', '.join(map(str, data))}")
    X, y = source(data[names[0]]), in_memory(data[names[1]])
    if len(X) < least:
        raise ShapeError(
            f"data: X_{part} (shape {X.shape}) and y_{part} (shape {y.shape}) must be N images and "
            "N labels, N at least 1"
        )
    return X, flat_labels(f"data: y_{part}", y, len(X))


def flat_labels(name: str, y: npt.ArrayLike, count: int) -> npt.NDArray[Any]:
    """Return ``count`` labels, given as (N,) or (N, 1), as (N,).

    Raises ShapeError for another shape, and DtypeError for labels that are not numbers.
    """
    labels = np.asarray(y)
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise ShapeError(
            f"{name} (shape {labels.shape}) must be {count} labels, one for each of {count} images"
        )
    if labels.dtype.kind not in "buif":
        raise DtypeError(
            f"{name} ({labels.dtype}) must be the numbers of the classes; "
            "np.unique(labels, return_inverse=True) gives them for names"
        )
    return labels


def check_at_least(least: int, **counts: int | None) -> None:
    """Raise ParameterError for a count that is given and not an integer of at least ``least``."""
    for name, value in counts.items():
        if value is None:
            continue
        integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not integer or value < least:
            raise ParameterError(f"{name} (={value!r}) must be an integer of at least {least}")


def first_loss_remark(loss: float, num_classes: int) -> str | None:
    """Return a line on a first loss beyond three times that of equal scores, ln(classes)."""
    usual = math.log(num_classes) if num_classes > 1 else math.inf
    if not 3 * usual < loss < math.inf:
        return None
    return (
        f"The first loss is {loss:.4g}, where equal scores give ln({num_classes}) = {usual:.3g}: "
        "the images' scale, or that of the first weights, does not suit this network."
    )


def rising_loss_remark(losses: Sequence[float]) -> str | None:
    """Return a line where the loss ended above twice its start, though no number overflowed.

    The end is the median of the last tenth.
    """
    last = sorted(losses[-max(len(losses) // 10, 1) :])
    if len(losses) < 2 or not all(map(math.isfinite, losses)):
        return None
    end = last[len(last) // 2]
    if end <= 2 * losses[0]:
        return None
    return (
        f"The loss rose from {losses[0]:.3g} to {end:.3g}: the network is not learning; "
        "a smaller --learning-rate may help."
    )


def check_state(model: Model, rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Raise DataError where a saved state is not one of this model and random generator."""
    buffers = getattr(model, "buffers", {})
    for kind in ("", "best_"):
        check_same_arrays(model.params, state[f"{kind}params"])
        check_same_arrays(buffers, state[f"{kind}buffers"])
    _check_generator("the solver's generator", rng, state["rng"])
    _check_generator("the model's generator", getattr(model, "rng", None), state["model_rng"])


def _check_generator(
    what: str, generator: np.random.Generator | None, state: Mapping[str, Any] | None
) -> None:
    """Raise DataError where a saved state is not one of this random generator's kind."""
    own = None if generator is None else type(generator.bit_generator)
    saved = None if state is None else state["bit_generator"]
    if (None if own is None else own.__name__) != saved:
        raise DataError(
            f"expected the state of {what} {own.__name__ if own else None}, found {saved}"
        )
    if own is None or state is None:
        return
    try:
        own().state = state
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"expected the state of {what} {saved}, found another ({error})") from None


def check_same_arrays(
    expected: Mapping[str, npt.NDArray[Any]], found: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Raise DataError where two dictionaries differ in names, shapes or dtypes of their arrays."""
    for name in sorted({*expected, *found}):
        own, other = (
            f"{arrays[name].shape} {arrays[name].dtype}" if name in arrays else "no such parameter"
            for arrays in (expected, found)
        )
        if own != other:
            raise DataError(f"expected {name} of shape {own}, found {other}")
