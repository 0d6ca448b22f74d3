"""Run one check on one case and put what happened into words.

What a backend raises is its failure, with its type and text; what it declares unsupported is
counted as that; a case that would cost a slow backend too much is skipped and counted as that.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convkit.conformance import surroundings
from convkit.conformance.cases import Case
from convkit.conformance.checks import CHECKS
from convkit.conformance.costs import Costs
from convkit.conformance.planes import Plane
from convkit.conformance.subject import NO_PART, Failed, NotApplicable, Subject, Unsupported
from convkit.errors import BackendUnsupportedError, ConvkitError


@dataclass(frozen=True)
class Job:
    """A check to run on a case."""

    check: str
    case: Case

    def declared(self, known: Mapping[str, str]) -> str | None:
        """Return why the backend expects the job to fail, from its ``expected_failures``."""
        return known.get(f"{self.check}/{self.case.op}", known.get(self.check))


@dataclass(frozen=True)
class Outcome:
    """What became of a job; ``case`` is set where the search shrank it to another.

    ``plane`` is the result around its first wrong element, where the failure is of one.
    """

    status: str
    message: str = ""
    seconds: float = 0.0
    case: str = ""
    plane: Plane | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Outcome:
        """Return the outcome that ``dataclasses.asdict`` wrote, also where it went through JSON."""
        plane = values.get("plane")
        return cls(**{**values, "plane": None if plane is None else Plane.of(plane)})


def execute(subject: Subject, job: Job, costs: Costs) -> Outcome:
    """Run a job unless it would cost too much; ``costs`` learns from every job that passed."""
    case, key = job.case, (job.check, job.case.op)
    work = case.work + _size(case) if case.geometry else 0
    reason = costs.too_costly(key, work, CHECKS[job.check].rationed)
    if reason:
        return Outcome("skipped", reason)
    began, began_cpu = time.perf_counter(), time.process_time()
    found = _attempt(subject, job)
    seconds = time.perf_counter() - began
    spent = min(seconds, time.process_time() - began_cpu)  # a busy machine makes no backend slow
    costs.spent[key] = costs.spent.get(key, 0.0) + spent
    if found.status == "pass" and work:
        costs.learn(key, work, seconds)
    return dataclasses.replace(found, seconds=seconds)


def _size(case: Case) -> int:
    """A number of terms that stands for what every call and every output costs by itself."""
    outputs = 1
    for n in case.out_shape:
        outputs *= n
    return 20 * outputs + 200


def _attempt(subject: Subject, job: Job) -> Outcome:
    """Run a job and return its outcome, but for the time it took."""
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
        case = getattr(failure, "case", None)
        shrunk = "" if case is None else str(case)
        return Outcome("fail", _one_line(str(failure)), case=shrunk, plane=failure.plane)
    except (Unsupported, BackendUnsupportedError) as reason:  # the latter of a companion problem
        return Outcome("unsupported", _one_line(str(reason)))
    except NotApplicable as reason:
        return Outcome("n/a", _one_line(str(reason)))
    except ConvkitError as error:
        return Outcome("fail", f"{type(error).__name__}: {_one_line(str(error))}")
    except Exception as error:  # supports() or info() raised, or the suite itself
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} (at {where.filename}:{where.lineno})"
        return Outcome("fail", _one_line(text))
    return Outcome("pass", remark or "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
