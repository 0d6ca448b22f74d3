"""What is timed: a backend of convkit through the public API, or PyTorch as a peer.

A subject turns a problem's arrays into one call per way; a call takes nothing and returns its
results by name. NumPy arrays go in and come out on every side.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np

import convkit
from convkit import registry
from convkit.bench.problems import Arrays, Problem
from convkit.contract import Backend
from convkit.errors import ParameterError

Call: TypeAlias = Callable[[], Arrays]
Calls: TypeAlias = dict[str, Call]


class Subject(Protocol):
    """Something that solves problems."""

    name: str

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """One call per way of the problem."""

    def set_num_threads(self, n: int) -> None:
        """Use ``n`` threads from now on."""

    def why_not(self, problem: Problem, dtype: Any) -> str | None:
        """None, or why it does not solve the problem."""


class Ours:
    """A backend, called as a user calls it."""

    def __init__(self, name: str | Backend) -> None:
        record = registry.load(name)
        self.backend: Any = record.backend
        self.name = record.name
        self._choice = name

    def why_not(self, problem: Problem, dtype: Any) -> str | None:
        """What the backend itself says."""
        reason: str | None = self.backend.supports(problem.spec(dtype))
        return reason

    def set_num_threads(self, n: int) -> None:
        """Passed on where the backend has threads of its own."""
        setter = getattr(self.backend, "set_num_threads", None)
        if setter is not None:
            setter(n)

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """Forward is the one a training step makes, with its cache."""
        return self._conv(problem, data) if problem.is_conv else self._pool(problem, data)

    def _conv(self, problem: Problem, data: Arrays) -> Calls:
        parameters = {**problem.parameters, "backend": self._choice}
        x, w, b, dout = (data[name] for name in ("x", "w", "b", "dout"))
        _, cache = convkit.conv_forward(x, w, b, **parameters)

        def backward(*needs: str) -> Arrays:
            found = zip(
                ("dx", "dw", "db"), convkit.conv_backward(dout, cache, needs=needs), strict=True
            )
            return {name: value for name, value in found if value is not None}

        return {
            "forward": lambda: {"out": convkit.conv_forward(x, w, b, **parameters)[0]},
            "backward": lambda: backward("dx", "dw", "db"),
            "dx": lambda: backward("dx"),
            "dw": lambda: backward("dw", "db"),
        }

    def _pool(self, problem: Problem, data: Arrays) -> Calls:
        forward: Any = getattr(convkit, f"{problem.kind}_pool_forward")
        backward: Any = getattr(convkit, f"{problem.kind}_pool_backward")
        parameters = {**problem.parameters, "backend": self._choice}
        x, dout = data["x"], data["dout"]
        _, cache = forward(x, **parameters)
        return {
            "forward": lambda: {"out": forward(x, **parameters)[0]},
            "backward": lambda: {"dx": backward(dout, cache)},
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
        """It solves everything."""
        return None

    def set_num_threads(self, n: int) -> None:
        """Intra-operator threads."""
        self.torch.set_num_threads(n)

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """``aten`` operators on tensors that share the arrays' memory."""
        make = self._conv if problem.is_conv else self._max if problem.kind == "max" else self._avg
        calls: Calls = make(problem, data)
        return {way: self._without_gradients(call) for way, call in calls.items()}

    def _without_gradients(self, call: Call) -> Call:
        def inner() -> Arrays:
            with self.torch.inference_mode():
                return call()

        return inner

    def _conv(self, problem: Problem, data: Arrays) -> Calls:
        tensor, aten = self.torch.from_numpy, self.torch.ops.aten
        axes = problem.axes
        conv = {1: self.torch.conv1d, 2: self.torch.conv2d, 3: self.torch.conv3d}[axes]
        stride, pad = [problem.stride] * axes, [problem.pad] * axes
        groups, (x, w, b, dout) = problem.groups, (data[n] for n in ("x", "w", "b", "dout"))

        def forward() -> Arrays:
            out = conv(tensor(x), tensor(w), tensor(b), stride, pad, 1, groups)
            return {"out": out.numpy()}

        def backward(*mask: bool) -> Arrays:
            found = aten.convolution_backward(
                tensor(dout), tensor(x), tensor(w), [len(b)], stride, pad,
                [1] * axes, False, [0] * axes, groups, mask,
            )  # fmt: skip
            return {
                name: value.numpy()
                for name, value, wanted in zip(("dx", "dw", "db"), found, mask, strict=True)
                if wanted
            }

        return {
            "forward": forward,
            "backward": lambda: backward(True, True, True),
            "dx": lambda: backward(True, False, False),
            "dw": lambda: backward(False, True, True),
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
    """The named backends and, where asked for, the peer."""
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
