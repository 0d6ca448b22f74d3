"""What every composed operation is made with: calls of a backend's methods, checked.

Each part's result is checked, because the next part computes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convkit.calls.results import pair_error, problem_of_result
from convkit.errors import BackendCallError, BackendResultError

if TYPE_CHECKING:
    from convkit.contract import Array


class Fallback:
    """The calls of a backend's own methods, checked. Each composed operation derives from it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the backend; what it raises becomes a BackendCallError."""
        try:
            return getattr(self.backend, method)(*args)
        except Exception as error:
            raise BackendCallError(
                f"backend {self.backend.name!r} raised {type(error).__name__} in {method} for "
                f"{args[0]}: {error}"
            ) from error

    def call_pair(self, method: str, *args: Any) -> tuple[Array, Any]:
        """Call a forward method; return its (out, saved)."""
        result = self.call(method, *args)
        if type(result) is not tuple or len(result) != 2:
            raise pair_error(self.backend.name, method, result)
        return result

    def check(
        self, method: str, value: Any, spec: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
    ) -> None:
        """Raise BackendResultError unless ``value`` is what ``method`` should return."""
        problem = problem_of_result(value, shape, spec.dtype, inputs)
        if problem:
            raise BackendResultError(
                f"backend {self.backend.name!r} returned a wrong result from {method} for {spec}: "
                f"it {problem}"
            )
