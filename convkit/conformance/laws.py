"""Laws, which hold for every problem, and their search with Hypothesis.

A law runs on a case like any other check; what is special is where cases come from: a case with
``examples=N`` stands for a seeded search over N of them, and a failure is shrunk to a small case
that reproduces alone. Hypothesis is imported when a search runs, and its absence is an error, never
a pass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from convkit.conformance.cases import DTYPES, Case, case
from convkit.conformance.checks import check
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.subject import Failed, Subject, Unsupported
from convkit.errors import BackendUnsupportedError, ConvkitError, ParameterError

if TYPE_CHECKING:
    import hypothesis

EXAMPLES = {"quick": 6, "default": 60, "full": 600}
SMALL = "ties-small"


class Counterexample(Failed):
    """A failure of a search; ``case`` is what it was shrunk to."""

    def __init__(self, error: Exception, case: Case) -> None:
        super().__init__(str(error), getattr(error, "plane", None))
        self.case = case


def _searches(op: str, level: str, seed: int) -> Iterator[Case]:
    for i, dtype in enumerate(DTYPES):
        yield Case(op, (), dtype, SMALL, seed + i, (("examples", EXAMPLES[level]),), "properties")


Law = Callable[[Subject, Case], None]


def law(name: str) -> Callable[[Law], Law]:
    """Register a law as a check over searches, and over one case where one is given.

    It holds for the operations whose entry names it.
    """

    def register(holds: Law) -> Law:
        def run(subject: Subject, case: Case) -> None:
            if case.get("examples"):
                _search(holds, subject, case)
            else:
                holds(subject, case)

        run.__doc__ = holds.__doc__
        check(name, _searches, names(lambda entry: name in entry.laws))(run)
        return holds

    return register


def search_settings(examples: int, **more: Any) -> hypothesis.settings:
    """Return Hypothesis's settings of a search that reports nothing itself and keeps nothing."""
    import hypothesis

    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        **more,
    )


def _search(holds: Law, subject: Subject, wanted: Case) -> None:
    try:
        import hypothesis
        import hypothesis.errors
    except ModuleNotFoundError as error:
        raise ParameterError(
            "the property checks need the package hypothesis; pip install hypothesis"
        ) from error
    last: list[Case] = []
    held: list[Case] = []
    unsupported: list[str] = []

    @hypothesis.seed(wanted.seed)
    @search_settings(wanted.get("examples"), derandomize=False)
    @hypothesis.given(hypothesis.strategies.data())
    def every(data: Any) -> None:
        found = _draw(wanted, data, hypothesis)
        try:
            subject.require(found)
            last[:] = [found]
            holds(subject, found)
            held[:] = [found]
        except (Unsupported, BackendUnsupportedError) as reason:
            unsupported.append(str(reason))
            # Draw another one instead; Hypothesis would try a thousand times.
            hypothesis.assume(len(unsupported) > 3 * wanted.get("examples"))

    try:
        every()
    except BackendUnsupportedError as error:  # of another problem that the law needs
        raise Unsupported(str(error)) from error
    except (Failed, ConvkitError) as error:
        raise Counterexample(error, last[0]) from error
    except hypothesis.errors.Unsatisfiable:
        pass  # whatever was drawn is declined
    if not held:
        raise Unsupported(unsupported[-1] if unsupported else "every problem drawn is declined")


def _draw(wanted: Case, data: Any, hypothesis: Any) -> Case:
    """Draw a small valid problem of the operation; small numbers shrink first."""
    st = hypothesis.strategies
    geometry = ENTRIES[wanted.op].searched(
        lambda low, high: data.draw(st.integers(low, high)), lambda: data.draw(st.booleans())
    )
    found = case(wanted.op, "properties", dtype=wanted.dtype, data=SMALL, **geometry)
    found = dataclasses.replace(found, seed=data.draw(st.integers(0, 1000)))
    try:
        _ = found.specs
    except ConvkitError:
        hypothesis.assume(False)
    return found
