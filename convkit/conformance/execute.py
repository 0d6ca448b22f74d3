"""Run one check on one case and put what happened into words.

What a backend raises is its failure, with its type and text; what it declares unsupported is
counted as that; a case that would cost a slow backend too much is skipped and counted as that.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np

from convkit.conformance import surroundings
from convkit.conformance.cases import Case
from convkit.conformance.checks import CHECKS
from convkit.conformance.subject import NO_PART, Failed, NotApplicable, Subject, Unsupported
from convkit.errors import BackendUnsupportedError, ConvkitError

LEAST_SAMPLES = 4


@dataclass(frozen=True)
class Job:
    """A check to run on a case."""

    check: str
    case: Case


@dataclass(frozen=True)
class Outcome:
    """What became of a job; ``case`` is set where the search shrank it to another."""

    status: str
    message: str = ""
    seconds: float = 0.0
    case: str = ""


def execute(subject: Subject, job: Job, costs: dict[tuple[str, ...], Any]) -> Outcome:
    """Run a job unless it would cost too much; ``costs`` learns from every job that passed."""
    case = job.case
    work = case.work + _size(case) if case.geometry else 0
    reason = _too_costly(job, work, costs)
    if reason:
        return Outcome("skipped", reason)
    began, began_cpu = time.perf_counter(), time.process_time()
    status, message, shrunk = _attempt(subject, job)
    seconds = time.perf_counter() - began
    spent = min(seconds, time.process_time() - began_cpu)  # a busy machine makes no backend slow
    costs["spent", job.check, case.op] = costs.get(("spent", job.check, case.op), 0.0) + spent
    if status == "pass" and work:
        rate, samples = costs.get((job.check, case.op), (seconds / work, 0))
        costs[job.check, case.op] = (min(rate, seconds / work), samples + 1)
    return Outcome(status, message, seconds, shrunk)


def _size(case: Case) -> int:
    """A number of terms that stands for what every call and every output costs by itself."""
    outputs = 1
    for n in case.out_shape:
        outputs *= n
    return 20 * outputs + 200


def _too_costly(job: Job, work: int, costs: dict[tuple[str, ...], Any]) -> str:
    budget = costs.get(("budget", "")) if CHECKS[job.check].rationed else None
    if budget is not None and costs.get(("spent", job.check, job.case.op), 0.0) > budget:
        return f"the {budget:g} s that the level gives this check and operation are spent"
    limit = costs["limit", ""]
    rate, samples = costs.get((job.check, job.case.op), (0.0, 0))
    if limit is None or samples < LEAST_SAMPLES:
        return ""
    estimate = rate * work  # the best rate so far: a busy machine makes no backend slow
    return f"about {estimate:.1f} s at this backend's speed" if estimate > limit else ""


def _attempt(subject: Subject, job: Job) -> tuple[str, str, str]:
    """Return (status, message, shrunk case)."""
    shrunk = ""
    try:
        if not subject.computes(job.case.op):
            raise NotApplicable(NO_PART)
        if job.case.geometry and job.check != "supports":
            subject.require(job.case)
        with np.errstate(all="ignore"):  # infinities are asked for
            before = surroundings.snapshot()
            CHECKS[job.check].run(subject, job.case)
            if text := surroundings.changed(before):
                raise Failed(text)
    except Failed as failure:
        found = getattr(failure, "case", None)
        shrunk = "" if found is None else str(found)
        return "fail", _one_line(str(failure)), shrunk
    except Unsupported as reason:
        return "unsupported", _one_line(str(reason)), shrunk
    except NotApplicable as reason:
        return "n/a", _one_line(str(reason)), shrunk
    except BackendUnsupportedError as reason:  # of another problem that the check needs
        return "unsupported", _one_line(str(reason)), shrunk
    except ConvkitError as error:
        return "fail", f"{type(error).__name__}: {_one_line(str(error))}", shrunk
    except Exception as error:  # supports() or info() raised, or the suite itself
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} (at {where.filename}:{where.lineno})"
        return "fail", _one_line(text), shrunk
    return "pass", "", shrunk


def _one_line(text: str) -> str:
    return " ".join(text.split())
