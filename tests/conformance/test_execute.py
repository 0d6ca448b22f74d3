"""What becomes of a job: pass, failure with its words, or why it was not run."""

from __future__ import annotations

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit.conformance import catalogue
from convkit.conformance.costs import Costs
from convkit.conformance.execute import Job, execute
from convkit.conformance.subject import Subject


class Raises(Im2colNumpy):
    name = "raises"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        raise RuntimeError("no\npooling")


class Declines(Im2colNumpy):
    name = "declines"

    def supports(self, spec):  # type: ignore[no-untyped-def]
        return "not today"


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        (Im2colNumpy, "pass", ""),
        (Raises, "fail", "RuntimeError in pool_forward"),
        (Declines, "unsupported", "not today"),
    ],
)
def test_an_outcome_has_its_status_and_words_on_one_line(
    wrong: type, status: str, words: str
) -> None:
    job = Job("forward-exact", catalogue.structured("max_pool", "quick")[0])
    outcome = execute(Subject(wrong()), job, Costs())
    assert outcome.status == status
    assert words in outcome.message
    assert "\n" not in outcome.message
