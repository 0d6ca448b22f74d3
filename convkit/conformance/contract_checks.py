"""The checks of the contract itself: what a backend says about itself.

A backend with a wrong declaration is told so in words. Passing these alone proves nothing about
results, and the report counts it so.
"""

from __future__ import annotations

from collections.abc import Iterator

from convkit.conformance import catalogue
from convkit.conformance.cases import Case
from convkit.conformance.checks import check
from convkit.conformance.subject import Failed, Subject


def _one(op: str, level: str, seed: int) -> Iterator[Case]:
    yield catalogue.structured(op, level)[0]


@check("declarations", _one)
def declarations(subject: Subject, case: Case) -> None:
    """exact, error_factor, reproducible and info() are as the contract says."""
    backend = subject.backend
    for attribute in ("exact", "reproducible"):
        if not isinstance(getattr(backend, attribute, True), bool):
            raise Failed(f"{attribute} (={getattr(backend, attribute)!r}) must be True or False")
    factor = getattr(backend, "error_factor", 1)  # its range is the registry's to check
    if factor != 1 and subject.exact:
        raise Failed(f"error_factor (={factor!r}) is for exact = False; an exact backend has 1")
    if subject.has("info") and not isinstance(backend.info(), dict):
        raise Failed(f"info() must return a dict, not a {type(backend.info()).__name__}")


@check("supports", lambda op, level, seed: iter(catalogue.geometries(op, level, seed)))
def supports(subject: Subject, case: Case) -> None:
    """supports() gives None or a sentence, the same every time, and never raises."""
    for spec in subject.handed(case):
        said = [subject.backend.supports(spec) for _ in range(2)]
        if said[0] is not None and (not isinstance(said[0], str) or not said[0].strip()):
            raise Failed(
                f"supports() returned {said[0]!r} for {spec}; it must be None or a sentence"
            )
        if said[0] != said[1]:
            raise Failed(f"supports() said {said[0]!r} and then {said[1]!r} for {spec}")
