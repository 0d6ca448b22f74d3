"""Make a call again that verification found wrong.

``python -c "from convkit.replay import replay; replay('FILE')"`` is what a VerifyError says to run.
"""

from __future__ import annotations

from typing import Any

from convkit import api
from convkit.calls.stored_case import read_case
from convkit.selection.scope import verify_with

__all__ = ["replay"]


def replay(path: str, backend: Any = None) -> None:
    """Run a stored case again under verification, with another ``backend`` if one is given.

    Raises VerifyError where the result is still wrong.
    """
    case = read_case(path)
    name = case.operation.name
    chosen = case.backend if backend is None else backend
    call = getattr(api, name if case.step == "infer" else f"{name}_forward")
    with verify_with(case.reference):
        found = call(*case.inputs, *case.parameters, backend=chosen)
        if case.dout is not None:
            getattr(api, f"{name}_backward")(case.dout, found[1])
    print("verified: no element is beyond its bound")
