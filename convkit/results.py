"""What a backend hands back: checked before anyone computes with it, and its mistakes put in words.

The checks are cheap and always on. Nothing here repairs a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.errors import BackendCallError, BackendResultError, CacheError, VerifyError

if TYPE_CHECKING:
    from convkit.plans import Plan

FORWARD = {
    "conv": "conv_forward",
    "max_pool": "pool_forward",
    "avg_pool": "pool_forward",
    "conv_relu_pool": "conv_relu_pool_forward",
}


def method_of(plan: Plan, step: str) -> str:
    """Return the name of the backend's method behind ``step``: forward, infer or backward."""
    return FORWARD[plan.operation].replace("forward", step)


def failure(plan: Plan, step: str, error: Exception) -> Exception:
    """Return the error to raise where a call raised ``error``."""
    if isinstance(error, BackendCallError | BackendResultError | VerifyError | CacheError):
        return error  # already in the words of the part that found it
    return BackendCallError(
        f"backend {plan.name!r} raised {type(error).__name__} in {method_of(plan, step)} for "
        f"{plan.problem}: {error}"
    )


def no_pair(backend: str, method: str, result: Any) -> BackendResultError:
    """Return the error to raise where a forward method returned something else than a pair."""
    return BackendResultError(
        f"backend {backend!r}: {method} must return (out, saved), not {kind_of(result)}"
    )


def check_result(
    plan: Plan, step: str, what: str, value: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
) -> None:
    """Raise BackendResultError unless ``value`` is a new C-contiguous array as agreed."""
    problem = wrong(value, shape, plan.dtype, inputs)
    if problem:
        raise BackendResultError(
            f"backend {plan.name!r} returned a wrong {what} from {method_of(plan, step)} for "
            f"{plan.problem}: it {problem}"
        )


def wrong(value: Any, shape: tuple[int, ...], dtype: Any, inputs: tuple[Any, ...]) -> str:
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
    if value.flags.owndata:  # it can only be an input itself
        shared = any(value is i for i in inputs)
    else:
        shared = any(isinstance(i, np.ndarray) and np.may_share_memory(value, i) for i in inputs)
    return "shares memory with an input; return a new array" if shared else ""


def kind_of(value: Any) -> str:
    """Return in words what a value is, for messages."""
    if type(value) is tuple:
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
