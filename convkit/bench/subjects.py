"""What is timed: a backend of convkit through the public API, or PyTorch as a peer.

A subject makes one call per direction out of a problem's arrays. A call takes nothing and returns
its results by name. All subjects take and return NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np

from convkit import api, registry
from convkit.bench.problems import Arrays, Problem
from convkit.contract import Array, Backend
from convkit.errors import ParameterError

Call: TypeAlias = Callable[[], Arrays]
Calls: TypeAlias = dict[str, Call]


class Subject(Protocol):
    """Something that solves problems."""

    name: str

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """One call per direction of the problem."""

    def set_num_threads(self, n: int) -> None:
        """Use ``n`` threads from now on."""

    def why_not(self, problem: Problem, dtype: Any) -> str | None:
        """None, or why it does not solve the problem."""


def forward_call(
    problem: Problem, data: Arrays, backend: str | Backend
) -> Callable[[], tuple[Array, Any]]:
    """Return a call of convkit's forward function, which returns (out, cache)."""
    function = getattr(api, f"{problem.operation.name}_forward")
    inputs = [data[name] for name in problem.operation.inputs]
    return partial(function, *inputs, **problem.parameters, backend=backend)


def backward_call(problem: Problem, dout: Array, cache: Any, needs: tuple[str, ...]) -> Call:
    """Return a call of convkit's backward function, which returns the gradients in ``needs``."""
    function = getattr(api, f"{problem.operation.name}_backward")
    names = problem.operation.gradients
    if len(names) == 1:
        run = partial(function, dout, cache)
        return lambda: {names[0]: run()}
    run = partial(function, dout, cache, needs=needs)
    return lambda: {
        name: value for name, value in zip(names, run(), strict=True) if value is not None
    }


class Ours:
    """A backend, called as a user calls it."""

    def __init__(self, name: str | Backend) -> None:
        record = registry.load(name)
        self.backend: Any = record.backend
        self.name = record.name
        self._choice = name

    def why_not(self, problem: Problem, dtype: Any) -> str | None:
        """What the backend's ``supports`` says."""
        reason: str | None = self.backend.supports(problem.spec(dtype))
        return reason

    def set_num_threads(self, n: int) -> None:
        """Set them where the backend has threads."""
        setter = getattr(self.backend, "set_num_threads", None)
        if setter is not None:
            setter(n)

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """Forward is the call of a training step, which makes a cache."""
        run = forward_call(problem, data, self._choice)
        _, cache = run()
        return {"forward": lambda: {"out": run()[0]}} | {
            direction: backward_call(problem, data["dout"], cache, problem.gradients(direction))
            for direction in problem.directions[1:]
        }


class Torch:
    """PyTorch on the CPU: the operators themselves, without the cost of its autograd."""

    name = "torch"

    def __init__(self) -> None:
        try:
            import torch
        except ImportError as error:
            raise ParameterError(
                "vs (='torch') needs PyTorch; install it with: pip install torch"
            ) from error
        self.torch: ModuleType = torch

    def why_not(self, problem: Problem, dtype: Any) -> str | None:
        """It solves every problem whose padding is a number."""
        return None if isinstance(problem.pad, int) else "its padding is not a number"

    def set_num_threads(self, n: int) -> None:
        """Intra-operator threads."""
        self.torch.set_num_threads(n)

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """``aten`` operators on tensors that share the arrays' memory."""
        make = self._conv if problem.is_conv else self._max if problem.kind == "max" else self._avg
        calls: Calls = make(problem, data)
        return {direction: self._without_gradients(call) for direction, call in calls.items()}

    def _without_gradients(self, call: Call) -> Call:
        def inner() -> Arrays:
            with self.torch.inference_mode():
                return call()

        return inner

    def _conv(self, problem: Problem, data: Arrays) -> Calls:
        tensor, aten = self.torch.from_numpy, self.torch.ops.aten
        axes = problem.axes
        conv = {1: self.torch.conv1d, 2: self.torch.conv2d, 3: self.torch.conv3d}[axes]
        stride, pad = [problem.stride] * axes, [int(problem.pad)] * axes
        groups, (x, w, b, dout) = problem.groups, (data[n] for n in ("x", "w", "b", "dout"))

        def forward() -> Arrays:
            out = conv(tensor(x), tensor(w), tensor(b), stride, pad, 1, groups)
            return {"out": out.numpy()}

        names = problem.operation.gradients

        def backward(needs: tuple[str, ...]) -> Arrays:
            found = aten.convolution_backward(
                tensor(dout), tensor(x), tensor(w), [len(b)], stride, pad,
                [1] * axes, False, [0] * axes, groups, [name in needs for name in names],
            )  # fmt: skip
            pairs = zip(names, found, strict=True)
            return {name: value.numpy() for name, value in pairs if name in needs}

        return {"forward": forward} | {
            direction: partial(backward, problem.gradients(direction))
            for direction in problem.directions[1:]
        }

    def _max(self, problem: Problem, data: Arrays) -> Calls:
        tensor, axes = self.torch.from_numpy, problem.axes
        pool, back = (
            getattr(self.torch.ops.aten, f"max_pool{axes}d_with_indices{suffix}")
            for suffix in ("", "_backward")
        )
        sizes = (problem.kernel, problem.stride, problem.pad, 1)
        geometry = [*([size] * axes for size in sizes), False]
        x, dout = data["x"], data["dout"]
        _, indices = pool(tensor(x), *geometry)
        return {
            "forward": lambda: {"out": pool(tensor(x), *geometry)[0].numpy()},
            "backward": lambda: {"dx": back(tensor(dout), tensor(x), *geometry, indices).numpy()},
        }

    def _avg(self, problem: Problem, data: Arrays) -> Calls:
        tensor, axes = self.torch.from_numpy, problem.axes
        pool, back = (
            getattr(self.torch.ops.aten, f"avg_pool{axes}d{suffix}") for suffix in ("", "_backward")
        )
        sizes = (problem.kernel, problem.stride, problem.pad)
        geometry_and_rule = [*([size] * axes for size in sizes), False, False, None]
        x, dout = data["x"], data["dout"]
        return {
            "forward": lambda: {"out": pool(tensor(x), *geometry_and_rule).numpy()},
            "backward": lambda: {"dx": back(tensor(dout), tensor(x), *geometry_and_rule).numpy()},
        }


def subjects(backends: list[str], vs: str | None = None) -> list[Subject]:
    """The named backends and, where ``vs`` names it, the peer."""
    found: list[Subject] = [Ours(name) for name in backends]
    if vs == "torch":
        found.append(Torch())
    elif vs is not None:
        raise ParameterError(f"vs (={vs!r}) must be 'torch'")
    return found


def is_exact(subject: Subject) -> bool:
    """False for a backend that rounds intermediate values, as Winograd does."""
    return bool(getattr(getattr(subject, "backend", None), "exact", True))


def error_factor(subject: Subject) -> float:
    """How many times the error bound an inexact backend may use."""
    return float(getattr(getattr(subject, "backend", None), "error_factor", 1.0))


def dtype_of(data: Arrays) -> np.dtype[Any]:
    """The one dtype of a problem's arrays."""
    return data["x"].dtype
