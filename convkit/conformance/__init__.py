"""The conformance suite: is a backend right?

``convkit conformance NAME`` and ``pytest --pyargs convkit.conformance --convkit-backend NAME``
run it, `run` is the same for programs. It goes through the public API and proves that the backend
under test computed every result; it compares with `reference` within `convkit.bounds`. Importing it
registers every check, in the order in which they run.
"""

# ruff: noqa: F401, I001 - importing registers the checks, in this order
from convkit.conformance import value_checks, argument_checks, contract_checks
from convkit.conformance import problems, gradients
from convkit.conformance import statistics, state, large, endurance, sequences, properties
from convkit.conformance.cases import Case
from convkit.conformance.checks import CHECKS, Check
from convkit.conformance.report import Report, Result
from convkit.conformance.runner import run
from convkit.conformance.subject import Failed, NotApplicable, Subject, Unsupported

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "Failed",
    "NotApplicable",
    "Report",
    "Result",
    "Subject",
    "Unsupported",
    "run",
]
