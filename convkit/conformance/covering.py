"""Covering arrays: few problems that contain every combination of a few feature values.

A point gives each feature of a space a value. Of the combinations that a space asks for (pairs,
and triples of features that kernels branch on together), each point covers one per tuple of
features. Points are chosen greedily, as in AETG (Cohen et al., 1997): of some candidates, most of
them built around a combination that is still missing, the one that covers most for its cost wins.
Nothing here knows what a feature means.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeAlias

Point: TypeAlias = dict[str, Any]
Combination: TypeAlias = tuple[Any, ...]

CANDIDATES = 6
ATTEMPTS = 12
"""How often a missing combination is tried before it counts as out of reach."""
UNIT = 200_000
"""The cost that halves what a point is worth."""


@dataclass(frozen=True)
class Space:
    """Features and what is to be covered of them.

    Attributes
    ----------
    name:
        Heads its rows in the table of coverage.
    features:
        The values of each feature, the cheapest first.
    views:
        Features that follow from one of the others: ``{"C block": ("C", block_of)}``.
    tuples:
        The names, of features and views, of which every combination is to be covered, the most
        important first.
    build:
        Makes a point a geometry; None where the values contradict each other.
    cost:
        The multiply-adds of a geometry.
    """

    name: str
    features: Mapping[str, tuple[Any, ...]]
    views: Mapping[str, tuple[str, Callable[[Any], Any]]]
    tuples: tuple[tuple[str, ...], ...]
    build: Callable[[Point], dict[str, Any] | None]
    cost: Callable[[dict[str, Any]], int]

    def combinations(self, names: tuple[str, ...]) -> list[Combination]:
        """Return every combination of values of a tuple of features."""
        found: list[Combination] = [()]
        for name in names:
            values = dict.fromkeys(self._values(name))
            found = [(*c, v) for c in found for v in values]
        return found

    def _values(self, name: str) -> Sequence[Any]:
        if name in self.views:
            source, view = self.views[name]
            return [view(v) for v in self.features[source]]
        return self.features[name]

    @cached_property
    def _viewed(self) -> dict[str, tuple[str, dict[Any, Any]]]:
        """By view: the feature it follows from, and its value for each of the feature's."""
        return {
            name: (source, {value: view(value) for value in self.features[source]})
            for name, (source, view) in self.views.items()
        }

    @cached_property
    def _sources(self) -> dict[str, dict[Any, list[Any]]]:
        """By view and its value: the values of the feature that give it, in order."""
        found: dict[str, dict[Any, list[Any]]] = {}
        for name, (source, view) in self.views.items():
            of_view = found.setdefault(name, {})
            for value in self.features[source]:
                of_view.setdefault(view(value), []).append(value)
        return found

    def seen(self, point: Point) -> Point:
        """Return a point with its views."""
        return point | {
            name: values[point[source]] for name, (source, values) in self._viewed.items()
        }

    def settle(self, names: tuple[str, ...], wanted: Combination, rng: random.Random) -> Point:
        """Return values of features that give the combination wanted."""
        point: Point = {}
        for name, value in zip(names, wanted, strict=True):
            if name in self.views:
                value = rng.choice(self._sources[name][value])
                name = self.views[name][0]
            point[name] = value
        return point


@dataclass
class Cover:
    """Which combinations of a space are covered so far."""

    space: Space
    missing: dict[tuple[str, ...], set[Combination]] = field(default_factory=dict)
    unreachable: dict[tuple[str, ...], set[Combination]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Everything is missing at first."""
        self.missing = {names: set(self.space.combinations(names)) for names in self.space.tuples}
        self.unreachable = {names: set() for names in self.space.tuples}

    @cached_property
    def _asked(self) -> list[tuple[Callable[[Point], Combination], set[Combination]]]:
        """How to read each tuple's values from a point, and what is missing of it."""
        return [(_reader(names), missing) for names, missing in self.missing.items()]

    @property
    def most(self) -> int:
        """The most combinations that one point can cover."""
        return len(self.missing)

    def gain(self, seen: Point) -> int:
        """Return how many missing combinations a point covers."""
        return sum([read(seen) in missing for read, missing in self._asked])

    def take(self, seen: Point) -> None:
        """Note that a point was asked."""
        for names, missing in self.missing.items():
            combination = tuple([seen[n] for n in names])
            missing.discard(combination)
            self.unreachable[names].discard(combination)

    def give_up(self, names: tuple[str, ...], combination: Combination) -> None:
        """Note that no point that is cheap enough has a combination."""
        self.missing[names].discard(combination)
        self.unreachable[names].add(combination)

    def retry(self) -> None:
        """Ask again for what was out of reach, because more may be spent now."""
        for names, given_up in self.unreachable.items():
            self.missing[names] |= given_up
            given_up.clear()


def _reader(names: tuple[str, ...]) -> Callable[[Point], Combination]:
    if len(names) == 1:  # of one name itemgetter gives the value, not a tuple
        return lambda seen: (seen[names[0]],)
    return itemgetter(*names)


def points(cover: Cover, most: int, seed: str) -> Iterator[tuple[Point, dict[str, Any]]]:
    """Choose points of at most ``most`` cost each until all is covered, or is out of reach.

    Yields each with the geometry built from it. The same seed gives the same points.
    """
    rng = random.Random(seed)
    queues = {names: _shuffled(missing, rng) for names, missing in cover.missing.items()}
    for names, queue in queues.items():
        for wanted in queue:
            if wanted not in cover.missing[names]:
                continue
            best = _best(cover, names, wanted, most, rng)
            if best is None:
                cover.give_up(names, wanted)
                continue
            cover.take(cover.space.seen(best[0]))
            yield best


def _shuffled(found: set[Combination], rng: random.Random) -> list[Combination]:
    ordered = sorted(found, key=repr)
    rng.shuffle(ordered)
    return ordered


def _best(
    cover: Cover, names: tuple[str, ...], wanted: Combination, most: int, rng: random.Random
) -> tuple[Point, dict[str, Any]] | None:
    """Return the candidate that covers most for its cost, and its geometry."""
    space, best, worth = cover.space, None, -1.0
    found = 0
    for attempt in range(ATTEMPTS):
        point = draw(space, rng, space.settle(names, wanted, rng), lean=1 + attempt)
        geometry = space.build(point)
        if geometry is None or (cost := space.cost(geometry)) > most:
            continue
        price = 1 + cost / UNIT
        if cover.most / price > worth:  # or it cannot be the best
            value = cover.gain(space.seen(point)) / price
            if value > worth:
                best, worth = (point, geometry), value
        found += 1
        if found == CANDIDATES:
            break
    return best


def draw(space: Space, rng: random.Random, given: Point, lean: float = 1.0) -> Point:
    """Draw a point that has the values given; ``lean`` above 1 prefers the cheap ones."""
    point = {}
    for name, values in space.features.items():
        if name in given:
            point[name] = given[name]
        else:
            point[name] = values[int(len(values) * math.pow(rng.random(), lean))]
    return point
