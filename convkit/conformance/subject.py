"""The backend under test, behind a proxy that proves that it, and no other, did the work.

Every call goes through convkit's public API with the proxy as its ``backend`` argument. The proxy
records each method that convkit calls on it; a call that convkit answered without it is an error
of the run (`Impostor`), never a pass. The proxy changes neither arguments nor results.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import convkit
from convkit import bounds
from convkit.conformance.cases import Case
from convkit.conformance.data import Inputs
from convkit.conformance.reference import FloatArray
from convkit.contract import API_VERSION
from convkit.plugin_check import optional_methods, required_methods

__all__ = ["API_VERSION", "Failed", "Impostor", "NotApplicable", "Subject", "Unsupported"]


class Failed(Exception):  # noqa: N818 - a verdict, not an error of the suite
    """A check found the backend wrong; the text says how."""


class Impostor(Failed):
    """A call was answered without the backend under test."""


class Unsupported(Exception):  # noqa: N818
    """The backend declares that it does not support a case; the text is its reason."""


class NotApplicable(Exception):  # noqa: N818
    """A check says nothing about this backend, and why."""


class _Recorder:
    """A backend that passes every call on and notes its method's name."""

    def __init__(self, backend: Any) -> None:
        self._local = threading.local()
        self.name = backend.name
        self.api_version = backend.api_version
        for attribute in ("exact", "reproducible", "error_factor"):
            if hasattr(backend, attribute):
                setattr(self, attribute, getattr(backend, attribute))
        for method in (*required_methods(), *optional_methods()):
            if getattr(backend, method, None) is not None:
                setattr(self, method, self._passing(method, getattr(backend, method)))

    @property
    def calls(self) -> list[str]:
        """The methods called in this thread since `forget`."""
        found: list[str] = self._local.__dict__.setdefault("calls", [])
        return found

    def forget(self) -> None:
        """Begin a new list, for this thread."""
        self._local.calls = []

    def _passing(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def passing(*args: Any) -> Any:
            self.calls.append(name)
            return method(*args)

        return passing


class Subject:
    """A backend as the checks see it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.recorder: Any = _Recorder(backend)
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
            "expected_failures": {str(k): str(v) for k, v in known.items()},
        }

    def require(self, case: Case) -> None:
        """Raise Unsupported where the backend declares so."""
        for spec in case.specs:
            reason = self.backend.supports(spec)
            if reason is not None:
                raise Unsupported(str(reason))

    # --- calls ------------------------------------------------------------------------------

    def forward(
        self, case: Case, given: Inputs, param: dict[str, Any] | None = None
    ) -> tuple[FloatArray, Any]:
        """Call the case's forward function, by keywords or with a dictionary; (out, cache)."""
        self.recorder.forget()
        chosen: dict[str, Any] = {"backend": self.recorder}
        if case.op == "conv":
            assert given.w is not None
            words = {} if param else case.conv_param
            result = convkit.conv_forward(given.x, given.w, given.b, param, **words, **chosen)
            wanted = {"conv_forward"}
        elif case.op == "conv_relu_pool":
            assert given.w is not None
            result = convkit.conv_relu_pool_forward(
                given.x, given.w, given.b, case.conv_param, case.pool_param, **chosen
            )
            wanted = {"conv_forward", "conv_relu_pool_forward"}
        else:
            function = getattr(convkit, f"{case.op}_forward")
            result = function(given.x, param, **({} if param else case.pool_param), **chosen)
            wanted = {"pool_forward"}
        self._prove(wanted)
        if result[1].backend != self.name:
            raise Impostor(f"the cache names the backend {result[1].backend!r}, not {self.name!r}")
        return result

    def infer(self, case: Case, given: Inputs) -> FloatArray:
        """Call the case's inference function."""
        self.recorder.forget()
        if case.op == "conv":
            assert given.w is not None
            out = convkit.conv(given.x, given.w, given.b, **case.conv_param, backend=self.recorder)
            self._prove({"conv_infer", "conv_forward"})
        else:
            function = getattr(convkit, case.op)
            out = function(given.x, **case.pool_param, backend=self.recorder)
            self._prove({"pool_infer", "pool_forward"})
        return np.asarray(out)

    def backward(
        self, case: Case, dout: FloatArray, cache: Any, needs: tuple[str, ...] = ("dx", "dw", "db")
    ) -> dict[str, FloatArray]:
        """Call the case's backward function; return what it gave by name, without None."""
        self.recorder.forget()
        if case.op.startswith("conv"):
            function = getattr(convkit, f"{case.op}_backward")
            values = function(dout, cache, needs=needs)
            found = dict(zip(("dx", "dw", "db"), values, strict=True))
            wanted = {"conv_backward", "conv_relu_pool_backward"}
        else:
            found = {"dx": getattr(convkit, f"{case.op}_backward")(dout, cache)}
            wanted = {"pool_backward"}
        self._prove(wanted)
        return {name: value for name, value in found.items() if value is not None}

    def both(
        self, case: Case, given: Inputs, param: dict[str, Any] | None = None
    ) -> dict[str, FloatArray]:
        """Forward and backward: out, dx, dw and db by name."""
        out, cache = self.forward(case, given, param)
        return {"out": out, **self.backward(case, given.dout, cache)}

    def _prove(self, wanted: set[str]) -> None:
        called = self.recorder.calls
        if not wanted & set(called):
            raise Impostor(
                f"{self.name!r} was not asked: convkit called {called or 'nothing'}, "
                f"expected {' or '.join(sorted(wanted))}"
            )
