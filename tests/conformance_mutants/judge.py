"""Hold mutants to the suite: which checks find each."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from conformance_mutants import CORRECT, MUTANTS, SETS
from conformance_mutants.registry import Mutant
from convkit import registry
from convkit.conformance import CHECKS, run
from convkit.errors import ConvkitError

LOADING = "(loading)"
"""Stands for a check where the registry itself refuses the backend."""

ALIVE = "alive"
"""Stands for a level where no run finds a mutant."""


@dataclass(frozen=True)
class Verdict:
    """The checks that found a mutant, the first words of the first failure, and the time."""

    name: str
    found_by: tuple[str, ...]
    words: str
    seconds: float
    ran: int

    @property
    def killed(self) -> bool:
        """Whether any check found it."""
        return bool(self.found_by)


@dataclass(frozen=True)
class Row:
    """A line of the table: the level that finds a mutant, and the checks of it that do."""

    name: str
    level: str
    found_by: tuple[str, ...]
    complete: bool
    """Whether every check of the level was asked; else those after the first are not known."""


def judge(name: str, level: str, **options) -> Verdict:
    """Run the suite on a mutant, or on one of the correct backends."""
    known = {n: m for mutants in SETS.values() for n, m in mutants.items()}
    mutant = known.get(name) or Mutant(name, "correct", "none", CORRECT[name])
    origin = f"conformance_mutants:{name}"
    registry.reload()
    with mutant.active(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            backend = registry.load(origin).backend
            report = run(origin if mutant.child else backend, level, **options)
        except ConvkitError as error:
            return Verdict(name, (LOADING,), f"{type(error).__name__}: {error}", 0.0, 0)
        finally:
            registry.reload()
    ran = len(report.results)
    # A narrowed run in which nothing was asked says nothing about the mutant.
    if report.ok or (options.get("checks") and not report.failures and not report.stopped):
        return Verdict(name, (), "", report.seconds, ran)
    first = next((r.message for r in report.failures), report.stopped or report.verdict())
    found = tuple(report.failed_checks()) or ("(verdict)",)
    return Verdict(name, found, first, report.seconds, ran)


def first(name: str) -> Row:
    """Return the level that finds a mutant and the first check of it that does."""
    if MUTANTS[name].needs_full:
        return Row(name, "full", ("index-width",), True)
    for level in ("quick", "default"):
        found = judge(name, level, maxfail=1).found_by
        if found:
            return Row(name, level, found, complete=LOADING in found)
    return Row(name, ALIVE, (), True)


def complete(row: Row) -> Row:
    """Return the row with every check that finds the mutant, each run alone to its first failure.

    The checks before the one that was found first need not be asked again: they passed.
    """
    order = sorted(CHECKS, key=lambda name: CHECKS[name].isolated)  # the runner's
    began = row.found_by[0]
    found: list[str] = []
    for check in order[order.index(began) :] if began in order else order:
        verdict = judge(row.name, row.level, checks=[check], maxfail=1)
        found += [f for f in verdict.found_by if f not in found]
    return Row(row.name, row.level, tuple(found) or row.found_by, complete=True)
