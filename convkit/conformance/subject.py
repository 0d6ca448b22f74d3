"""The backend under test, behind a proxy that proves that it, and no other, did the work.

Every call goes through convkit's public API with the proxy as its ``backend`` argument. The proxy
records each method that convkit calls on it; a call that convkit answered without it is an error
of the run (`Impostor`), never a pass. The proxy changes neither arguments nor results.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convkit import api, bounds, registry
from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case
from convkit.conformance.entries import ENTRIES
from convkit.conformance.planes import Plane
from convkit.conformance.recorder import OPERATION_OF, Recorded, Recorder
from convkit.conformance.reference import FloatArray
from convkit.contract import API_VERSION
from convkit.operations import OPERATIONS, Step, operation_of
from convkit.selection.resolve import computes_itself, handed, refusal

__all__ = [
    "API_VERSION",
    "Failed",
    "Impostor",
    "NotApplicable",
    "Subject",
    "Unsupported",
    "agree",
]


class Failed(Exception):  # noqa: N818 - a verdict, not an error of the suite
    """A check found the backend wrong; the text says how, and ``plane`` shows where, if known."""

    def __init__(self, text: str, plane: Plane | None = None) -> None:
        super().__init__(text)
        self.plane = plane


class Impostor(Failed):
    """A call was answered without the backend under test."""


class Unsupported(Exception):  # noqa: N818
    """The backend declares that it does not support a case; the text is its reason."""


class NotApplicable(Exception):  # noqa: N818
    """A check says nothing about this backend, and why."""


def agree(said: str, got: FloatArray, want: FloatArray, bound: Any = 0.0) -> None:
    """Raise Failed at the first element of a result beyond its bound; the shapes are equal."""
    bad = bounds.first_bad(got, want, bound)
    if bad is not None:
        raise Failed(f"{said}{bad}", Plane.around(said, bad.index, got, want, bound))


NO_PART = "the backend has no method for it, and convkit computes it without the backend"


class Subject:
    """A backend as the checks see it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.recorder: Any = Recorder(backend)
        self.name: str = backend.name
        self.exact = bool(getattr(backend, "exact", True))
        self.reproducible = bool(getattr(backend, "reproducible", False))
        factor = float(getattr(backend, "error_factor", 1.0))
        self.error_factor = min(factor, bounds.MAX_ERROR_FACTOR)

    def has(self, method: str) -> bool:
        """Whether the backend has an optional method."""
        return getattr(self.backend, method, None) is not None

    def facts(self) -> dict[str, Any]:
        """What the backend says about itself, JSON-able."""
        known = dict(getattr(self.backend, "expected_failures", {}) or {})
        return {
            "name": self.name,
            "exact": self.exact,
            "error_factor": self.error_factor,
            "reproducible": self.reproducible,
            "not_asked": [op for op in ENTRIES if not self.computes(op)],
            "expected_failures": {str(k): str(v) for k, v in known.items()},
        }

    def computes(self, op: str) -> bool:
        """Whether the backend has a part in an operation, itself or by what it is composed of."""
        if ENTRIES[op].composed_alone:
            return self.has(OPERATIONS[op].method("forward"))
        return True

    def require(self, case: Case) -> None:
        """Raise Unsupported where the backend declares so."""
        reason = self._refusal(case)
        if reason is not None:
            raise Unsupported(reason)

    def supported(self, cases: Iterable[Case]) -> Iterator[Case]:
        """Return those of some problems that the backend does not decline."""
        for case in cases:
            if self._refusal(case) is None:
                yield case

    def handed(self, case: Case) -> tuple[Any, ...]:
        """Return the specs that the backend is asked about for a case."""
        return handed(registry.load(self.backend), case.specs)

    def _refusal(self, case: Case) -> str | None:
        """Return why the backend does not compute a case, neither itself nor composed."""
        record = registry.load(self.backend)
        if ENTRIES[case.op].composed_alone and not computes_itself(
            record, case.operation, case.specs
        ):
            reasons = (self.backend.supports(spec) for spec in case.specs)
            return next((str(reason) for reason in reasons if reason is not None), NO_PART)
        return refusal(record, case.operation, case.specs)

    # --- calls ------------------------------------------------------------------------------

    def forward(
        self, case: Case, given: Inputs, param: dict[str, Any] | None = None
    ) -> tuple[FloatArray, Any]:
        """Call the case's forward function; (out, cache).

        Parameters go as keywords, or as a dictionary where ``param`` is given or the operation
        takes several.
        """
        results, cache = self.forward_all(case, given, param)
        return results["out"], cache

    def forward_all(
        self, case: Case, given: Inputs, param: dict[str, Any] | None = None
    ) -> tuple[dict[str, FloatArray], Any]:
        """Call the case's forward function; its results by name, statistics too, and the cache."""
        args, options = ENTRIES[case.op].arguments(case, given, param)
        result = self._call(f"{case.op}_forward", args, options)
        self._prove(self._methods(case, "forward"))
        if result[1].backend != self.name:
            raise Impostor(f"the cache names the backend {result[1].backend!r}, not {self.name!r}")
        out, cache = result
        return {"out": out, **ENTRIES[case.op].statistics(case, args)}, cache

    def infer(self, case: Case, given: Inputs, param: dict[str, Any] | None = None) -> FloatArray:
        """Call the case's inference function."""
        args, options = ENTRIES[case.op].arguments(case, given, param, infer=True)
        out = self._call(case.op, args, options)
        self._prove(self._methods(case, "infer") | self._methods(case, "forward"))
        return np.asarray(out)

    def indices(self, case: Case, given: Inputs) -> tuple[FloatArray, FloatArray]:
        """Call the function that says where each maximum is; (out, indices)."""
        args, options = ENTRIES[case.op].arguments(case, given, None, infer=True)
        out, indices = self._call(f"{case.op}_indices", args, options)
        self._prove(self._methods(case, "infer") | self._methods(case, "forward"))
        return np.asarray(out), np.asarray(indices)

    def _call(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.recorder.forget()
        return getattr(api, name)(*args, **options, backend=self.recorder)

    def backward(
        self, case: Case, dout: FloatArray, cache: Any, needs: tuple[str, ...] | None = None
    ) -> dict[str, FloatArray]:
        """Call the case's backward function; return what it gave by name, without None."""
        self.recorder.forget()
        function, gradients = getattr(api, f"{case.op}_backward"), case.operation.gradients
        if len(gradients) > 1:
            values = function(dout, cache, needs=gradients if needs is None else needs)
        else:
            values = (function(dout, cache),)
        sums = {f"d{name}" for name in case.operation.inputs if name not in case.operation.kept}
        sums |= self._of_no_part(case)
        if case.operation.required or not set(needs or gradients) <= sums:
            # The gradient of an input that backward does not get is a sum over dout alone; where
            # the operation is composed, no backend is asked for it, nor for one of no part.
            self._prove(self._methods(case, "backward"))
        found = zip(case.operation.returned(case.specs), values, strict=True)
        return {name: value for name, value in found if value is not None}

    def _of_no_part(self, case: Case) -> set[str]:
        """Return the gradients of inputs that no part of a composed operation takes."""
        operation = case.operation
        specs = operation.composed_of(case.specs) if operation.composed_of else ()
        taken = {name for spec in specs for name in operation_of((spec,)).inputs}
        return {f"d{name}" for name in operation.inputs if name not in taken} if taken else set()

    def _methods(self, case: Case, step: Step) -> set[str]:
        """Return the backend's methods that may do a step, or compose it."""
        operation = case.operation
        own = {operation.method(step)}
        if operation.composed_of is None:
            return own
        parts = (operation_of((spec,)) for spec in operation.composed_of(case.specs))
        steps: tuple[Step, ...] = ("forward", "infer", "backward")
        return own | {part.method(s) for part in parts for s in steps}

    def both(
        self, case: Case, given: Inputs, param: dict[str, Any] | None = None
    ) -> dict[str, FloatArray]:
        """Forward and backward: out, the statistics and every gradient by name."""
        results, cache = self.forward_all(case, given, param)
        return {**results, **self.backward(case, given.dout, cache)}

    def everything(self, case: Case, given: Inputs) -> dict[str, FloatArray]:
        """Return what `both` does, and the result of inference as "inferred" where there is one."""
        found = self.both(case, given)
        if case.infers:
            found["inferred"] = self.infer(case, given)
        return found

    def recorded(self, case: Case, given: Inputs) -> tuple[dict[str, FloatArray], list[Recorded]]:
        """Return what `everything` does, and the calls of the backend that it took."""
        with self.recorder.recording() as calls:
            results = self.everything(case, given)
        return results, [one for one in calls if one.name in OPERATION_OF]

    @contextmanager
    def threads(self, count: int | None = None) -> Iterator[None]:
        """Let the backend use so many threads, where it can be told; put its number back."""
        if not self.has("set_num_threads"):
            yield
            return
        before = self.backend.info().get("threads") if self.has("info") else None
        try:
            if count is not None:
                self.backend.set_num_threads(count)
            yield
        finally:
            self.backend.set_num_threads(before if isinstance(before, int) else os.cpu_count() or 1)

    def _prove(self, wanted: set[str]) -> None:
        called = self.recorder.calls
        if not wanted & set(called):
            raise Impostor(
                f"{self.name!r} was not asked: convkit called {called or 'nothing'}, "
                f"expected {' or '.join(sorted(wanted))}"
            )
