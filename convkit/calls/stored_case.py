"""A call whose result was wrong, stored with its arrays so that it can be made again.

:mod:`convkit.replay` makes it.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from typing import Any, NamedTuple

import numpy as np

from convkit.calls.plan import Plan
from convkit.operations import OPERATIONS, Operation, Step

_numbers = itertools.count()


class StoredCase(NamedTuple):
    """What a file holds: the operation, its inputs and parameters, and who disagreed."""

    operation: Operation
    step: Step
    backend: str
    reference: str
    parameters: list[dict[str, Any]]
    inputs: list[Any]
    dout: Any


def write_case(plan: Plan, step: Step, reference: str, arrays: dict[str, Any]) -> str:
    """Store the arrays of a call in the temporary folder; return the line that runs it again."""
    names = zip(plan.operation.inputs, arrays["inputs"], strict=True)
    data = {name: array for name, array in names if array is not None}
    if "dout" in arrays:
        data["dout"] = arrays["dout"]
    pairs = zip(plan.operation.parameters, plan.specs, strict=False)
    facts = {
        "operation": plan.operation.name,
        "step": step,
        "backend": plan.record.value if plan.record.given else plan.name,
        "reference": reference,
        "parameters": [{key: getattr(spec, key) for key in one.defaults} for one, spec in pairs],
    }
    name = f"convkit-verify-{os.getpid()}-{next(_numbers)}.npz"
    path = os.path.join(tempfile.gettempdir(), name)
    np.savez(path, facts=np.array(json.dumps(facts)), **data)
    return f'{sys.executable} -c "from convkit.replay import replay; replay({path!r})"'


def read_case(path: str) -> StoredCase:
    """Return what ``write_case`` stored."""
    with np.load(path) as stored:
        facts = json.loads(str(stored["facts"]))
        arrays = {name: stored[name] for name in stored.files if name != "facts"}
    operation = OPERATIONS[facts["operation"]]
    return StoredCase(
        operation,
        facts["step"],
        facts["backend"],
        facts["reference"],
        facts["parameters"],
        [arrays.get(name) for name in operation.inputs],
        arrays.get("dout"),
    )
