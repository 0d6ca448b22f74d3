"""Run one check on one case and put what happened into words.

What a backend raises is its failure, with its type and text; what it declares unsupported is
counted as that; a case that would cost a slow backend too much is skipped and counted as that.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass

from convkit.conformance import surroundings
from convkit.conformance.cases import Case
from convkit.conformance.checks import CHECKS
from convkit.conformance.costs import Costs
from convkit.conformance.subject import NO_PART, Failed, NotApplicable, Subject, Unsupported
from convkit.errors import BackendUnsupportedError, ConvkitError


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


def execute(subject: Subject, job: Job, costs: Costs) -> Outcome:
    """Run a job unless it would cost too much; ``costs`` learns from every job that passed."""
    case, key = job.case, (job.check, job.case.op)
    work = case.work + _size(case) if case.geometry else 0
    reason = costs.too_costly(key, work, CHECKS[job.check].rationed)
    if reason:
        return Outcome("skipped", reason)
    began, began_cpu = time.perf_counter(), time.process_time()
    status, message, shrunk = _attempt(subject, job)
    seconds = time.perf_counter() - began
    spent = min(seconds, time.process_time() - began_cpu)  # a busy machine makes no backend slow
    costs.spent[key] = costs.spent.get(key, 0.0) + spent
    if status == "pass" and work:
        costs.learn(key, work, seconds)
    return Outcome(status, message, seconds, shrunk)


def _size(case: Case) -> int:
    """A number of terms that stands for what every call and every output costs by itself."""
    outputs = 1
    for n in case.out_shape:
        outputs *= n
    return 20 * outputs + 200


def _attempt(subject: Subject, job: Job) -> tuple[str, str, str]:
    """Return (status, message, shrunk case)."""
    shrunk = ""
    try:
        if not subject.computes(job.case.op):
            raise NotApplicable(NO_PART)
        if job.case.geometry and job.check != "supports":
            subject.require(job.case)
        with surroundings.told():  # infinities are asked for
            before = surroundings.snapshot()
            remark = CHECKS[job.check].run(subject, job.case)
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
    return "pass", remark or "", shrunk


def _one_line(text: str) -> str:
    return " ".join(text.split())
