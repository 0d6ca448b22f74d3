"""What a backend returns: checked before anyone computes with it, its faults put into words.

The checks are cheap and always on. Nothing here repairs a result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convkit.calls.plan import Plan
from convkit.errors import BackendCallError, BackendResultError, CacheError, VerifyError
from convkit.operations import Step


def call_error(plan: Plan, step: Step, error: Exception) -> Exception:
    """Return the error to raise where a backend's method raised ``error``."""
    if isinstance(error, BackendCallError | BackendResultError | VerifyError | CacheError):
        return error  # in words already, by the part that found it
    return BackendCallError(
        f"backend {plan.name!r} raised {type(error).__name__} in {plan.method(step)} for "
        f"{plan.problem}: {error}"
    )


def pair_error(
    backend: str, method: str, result: Any, statistics: tuple[str, ...] = ()
) -> BackendResultError:
    """Return the error to raise where a forward method returned something other than a pair."""
    wanted = ", ".join(("out", "saved", *statistics))
    return BackendResultError(
        f"backend {backend!r}: {method} must return ({wanted}), not {kind_of(result)}"
    )


def gradients_error(
    backend: str, method: str, names: tuple[str, ...], result: Any
) -> BackendResultError:
    """Return the error to raise where a backward method returned no tuple of its gradients."""
    return BackendResultError(
        f"backend {backend!r}: {method} must return ({', '.join(names)}), not {kind_of(result)}"
    )


def check_result(
    plan: Plan, step: Step, what: str, value: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
) -> None:
    """Raise BackendResultError unless ``value`` is a new C-contiguous array as agreed."""
    problem = problem_of_result(value, shape, plan.dtype, inputs)
    if problem:
        raise BackendResultError(
            f"backend {plan.name!r} returned a wrong {what} from {plan.method(step)} for "
            f"{plan.problem}: it {problem}"
        )


def check_gradients(
    plan: Plan, result: Any, needs: tuple[str, ...], inputs: tuple[Any, ...]
) -> Any:
    """Return the gradients that ``needs`` names, in the operation's order, None for the others.

    An operation with one gradient has it as its result, without a tuple. Raises BackendResultError.
    """
    names = plan.returned
    if len(names) == 1:
        check_result(plan, "backward", names[0], result, plan.gradients[names[0]], inputs)
        return result
    if type(result) is not tuple or len(result) != len(names):
        raise gradients_error(plan.name, plan.method("backward"), names, result)
    found = []
    for name, value in zip(names, result, strict=True):
        if name in needs:
            check_result(plan, "backward", name, value, plan.gradients[name], inputs)
            found.append(value)
        else:
            found.append(None)
    return tuple(found)


def problem_of_result(
    value: Any, shape: tuple[int, ...], dtype: Any, inputs: tuple[Any, ...]
) -> str:
    """Return what is wrong with a backend's result; empty where nothing is."""
    if type(value) is not np.ndarray:
        return f"is {kind_of(value)}, not a numpy.ndarray"
    if value.shape != shape:
        return f"has shape {value.shape} instead of {shape}"
    if value.dtype != dtype:
        return f"has dtype {value.dtype} instead of {dtype}"
    if not value.flags.writeable:
        return "is read-only"
    if not value.flags.carray:
        return "is not C-contiguous and aligned"
    if value.flags.owndata:  # the only array it can share memory with is itself
        shared = any(value is i for i in inputs)
    else:
        shared = any(isinstance(i, np.ndarray) and np.may_share_memory(value, i) for i in inputs)
    return "shares memory with an input; return a new array" if shared else ""


def kind_of(value: Any) -> str:
    """Return in words what a value is, for messages."""
    if type(value) is tuple:
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
