"""Sampling: which images each mini-batch holds."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError

__all__ = ["SAMPLERS", "Replacement", "Sampler", "Shuffle", "make_sampler"]

Indices: TypeAlias = npt.NDArray[np.integer]


class Sampler(Protocol):
    """Draws the batches of a run; what it keeps between them are arrays by name."""

    state: dict[str, Indices]

    def draw(self, count: int, batch_size: int, place: int, rng: np.random.Generator) -> Indices:
        """Return the indices of batch ``place``, counted from 0 in its epoch, of count images."""


class Replacement:
    """Every batch is drawn with replacement, as in the course: an epoch misses some images."""

    def __init__(self) -> None:
        self.state: dict[str, Indices] = {}

    def draw(self, count: int, batch_size: int, place: int, rng: np.random.Generator) -> Indices:
        """Return ``batch_size`` indices, each drawn from all."""
        return rng.integers(count, size=batch_size)


class Shuffle:
    """Every epoch goes through the images once in a new order, but for a last batch cut short."""

    def __init__(self) -> None:
        self.state: dict[str, Indices] = {}

    def draw(self, count: int, batch_size: int, place: int, rng: np.random.Generator) -> Indices:
        """Return the next ``batch_size`` indices of this epoch's order."""
        order = self.state.get("order")
        if place == 0 or order is None or len(order) != count:
            order = rng.permutation(count)
            self.state = {"order": order}
        return order[place * batch_size : (place + 1) * batch_size]


SAMPLERS: dict[str, type[Sampler]] = {"replacement": Replacement, "shuffle": Shuffle}


def make_sampler(name: str) -> Sampler:
    """Return a new sampler; ParameterError for an unknown name."""
    if name not in SAMPLERS:
        raise ParameterError(f"sampling (={name!r}) must be one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name]()
