"""Make a call again that verification found wrong.

``python -c "from convkit.replay import replay; replay('FILE')"`` is what a VerifyError says to run.
"""

from __future__ import annotations

from typing import Any

from convkit import api
from convkit.calls.stored_case import StoredCase, read_case
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
        arrays, keywords = _arguments(case)
        found = call(*arrays, *case.parameters, **keywords, backend=chosen)
        if case.dout is not None:
            getattr(api, f"{name}_backward")(case.dout, found[1])
    print("verified: no element is beyond its bound")


def _arguments(case: StoredCase) -> tuple[list[Any], dict[str, Any]]:
    """Return the arrays and keywords of the call; running statistics go into their dictionary."""
    arrays = dict(zip(case.operation.inputs, case.inputs, strict=True))
    running = {f"running_{name}": arrays.pop(name) for name in case.operation.statistics}
    for one, given in zip(case.operation.parameters, case.parameters, strict=False):
        given.update({k: v for k, v in running.items() if k in one.others and v is not None})
    keywords = {"residual": arrays.pop("residual")} if "residual" in arrays else {}
    return list(arrays.values()), keywords
