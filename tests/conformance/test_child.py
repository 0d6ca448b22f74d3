"""A child process reports each job, and what ended it where it died."""

from __future__ import annotations

import os
import signal

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit.conformance import catalogue
from convkit.conformance.child import Work, forked, spawned
from convkit.conformance.execute import Job
from convkit.conformance.subject import Subject

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

JOBS = [Job("forward-exact", case) for case in catalogue.structured("max_pool", "quick")[:3]]


class EndsTheProcess(Im2colNumpy):
    """Dies in its second call: by a signal, or by leaving."""

    name = "ends_the_process"
    calls = 0

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls == 2:
            os.write(2, b"last words\n")
            if self.how == "signal":
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(3)
        return super().pool_forward(spec, x)


def test_every_job_is_reported_by_a_fork_and_by_a_fresh_interpreter() -> None:
    here = [m for m in forked(Subject(Im2colNumpy()), Work(JOBS)) if m.kind == "done"]
    apart = [m for m in spawned("im2col_numpy", Work(JOBS)) if m.kind == "done"]
    for messages in (here, apart):
        assert [(m.index, m.outcome.status) for m in messages] == [(i, "pass") for i in range(3)]


@pytest.mark.parametrize(
    ("how", "words"),
    [("signal", "crashed with SIGKILL"), ("exit", "ended the process with exit status 3")],
)
def test_a_death_names_its_cause_and_last_words(how: str, words: str) -> None:
    *_, last = forked(Subject(EndsTheProcess(how)), Work(JOBS))
    assert last.kind == "died"
    assert last.index == 1
    assert last.outcome.message == f"{words}; it wrote: last words"
