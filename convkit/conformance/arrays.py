"""The arrays of a case, and the results that they must give with their bounds.

Nothing here knows an operation, a backend or how values are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from convkit import bounds
from convkit.conformance.reference import FloatArray

Arrays: TypeAlias = dict[str, Any]
"""The inputs of an operation by name, and dout; None for an input that is not given."""


@dataclass(frozen=True)
class Inputs:
    """What a case feeds in: the operation's inputs by name, None where not given, and dout."""

    named: Mapping[str, FloatArray | None]
    dout: FloatArray

    @classmethod
    def of(cls, arrays: Arrays) -> Inputs:
        """Make one of arrays by name, dout among them."""
        rest = dict(arrays)
        dout = rest.pop("dout")
        return cls(rest, dout)

    def __getattr__(self, name: str) -> Any:
        """An input by its name."""
        try:
            return self.__dict__["named"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of `all`."""
        return (*self.named, "dout")

    @property
    def all(self) -> tuple[FloatArray | None, ...]:
        """The inputs in order, and dout."""
        return (*self.named.values(), self.dout)

    def given(self) -> Iterator[tuple[str, FloatArray]]:
        """Return the inputs that are there, with their names."""
        return ((name, a) for name, a in self.named.items() if a is not None)

    def map(self, change: Callable[[FloatArray], FloatArray]) -> Inputs:
        """Change every array that is there."""
        named = {name: None if a is None else change(a) for name, a in self.named.items()}
        return Inputs(named, change(self.dout))

    def replaced(self, **arrays: Any) -> Inputs:
        """Return the same with other arrays in place of some."""
        return Inputs({**self.named, **arrays}, self.dout)

    def copies(self) -> Inputs:
        """Fresh, writable arrays with the same values."""
        return self.map(np.copy)


@dataclass(frozen=True)
class Expected:
    """A result by the reference; S and terms as in `convkit.bounds`; whether it is exact."""

    ref: FloatArray
    S: FloatArray
    terms: int
    exact: Any  # bool, or a mask of the elements that are
    limit: FloatArray | None = None
    """The bound itself, where it is not one of a single sum."""
    any_nonfinite: bool = False
    """Whether a NaN may stand for an infinity and the other way round: the formula decides it."""
    inexact: Callable[[float], FloatArray] | None = None
    """Beside ``limit``, that of a backend with ``exact = False``, given its error factor."""

    @property
    def lenient(self) -> bool:
        """Whether `undecided` may say yes anywhere."""
        return self.limit is not None or self.any_nonfinite

    def undecided(self, got: FloatArray) -> FloatArray:
        """Return where what a backend gave is as good as the reference, whatever the bound."""
        finite = np.isfinite(self.ref)
        found = np.zeros(self.ref.shape, bool)
        if self.limit is not None:  # rounding decides whether an infinity comes in
            found |= finite & np.isinf(self.limit)
        if self.any_nonfinite:
            found |= ~np.isfinite(got) & ~finite
        return found

    @classmethod
    def of(cls, ref: FloatArray, S: Any, terms: int, exact: Any = True) -> Expected:
        """Make one; S is kept in float64."""
        return cls(ref, np.asarray(S, np.float64), terms, exact)

    def bound(self, dtype: str, *, exact_backend: bool, factor: float, random: bool) -> Any:
        """Return the bound a backend is held to, elementwise."""
        if self.limit is not None:
            if exact_backend:
                return self.limit
            return factor * self.limit if self.inexact is None else self.inexact(factor)
        if not exact_backend:
            return bounds.normwise(self.S, self.terms, dtype, factor=factor, random=random)
        if self.exact is True:
            return 0.0
        rounded = bounds.elementwise(self.S, self.terms, dtype, random=random)
        return np.where(self.exact, 0.0, rounded)

    def negated(self) -> Expected:
        """Return what is expected for -dout."""
        return replace(self, ref=-self.ref)


def integers(rng: np.random.Generator, shape: Any, largest: int) -> Any:
    """Draw integers other than 0 in [-largest, largest]; None where there is no shape."""
    if shape is None:
        return None
    a = rng.integers(-largest, largest + 1, shape)
    a[a == 0] = 1  # a zero would hide a lost term
    return a.astype(np.float64)


def magnitudes(*arrays: Any) -> list[Any]:
    """Return absolute values in float64; None stays."""
    return [None if a is None else np.abs(a.astype(np.float64)) for a in arrays]
