"""Which layers in a row run as one operation: a table of patterns, and the planner that reads it.

An operation that computes several layers in fewer passes over memory is one row of ``PATTERNS``.
Its result is that of the layers one by one, to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from convkit.models.modules.activations import ReLU
from convkit.models.modules.norms import BatchNorm, GroupNorm
from convkit.models.modules.operation import OperationLayer
from convkit.models.modules.pools import MaxPool
from convkit.models.modules.weighted import Affine, Conv
from convkit.models.placing import Branches, Place, Placed
from convkit.models.steps import AddStep, Chain, LayerStep, OperationStep, ResidualStep, Step

__all__ = ["PATTERNS", "Add", "Pattern", "plan"]


class Add:
    """In a pattern: the sum of a Residual's two paths."""


@dataclass(frozen=True)
class Pattern:
    """Layers that one operation computes.

    ``<operation>_forward`` takes x, the layers' arrays in order, their parameter dictionaries in
    order, and ``keywords``; and ``residual`` where the pattern has an Add.
    """

    operation: str
    layers: tuple[type, ...]
    keywords: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


RELU: Final = MappingProxyType({"relu": True})

PLAIN: Final = MappingProxyType({"relu": False})

PATTERNS: tuple[Pattern, ...] = (
    Pattern("conv_bn_relu", (Conv, BatchNorm, ReLU, MaxPool)),
    Pattern("conv_bn_relu", (Conv, BatchNorm, ReLU)),
    Pattern("conv_bn_relu", (Conv, BatchNorm, Add, ReLU)),
    Pattern("conv_bn_relu", (Conv, BatchNorm, Add), PLAIN),
    Pattern("conv_relu_pool", (Conv, ReLU, MaxPool)),
    Pattern("conv_relu", (Conv, ReLU)),
    Pattern("batch_norm", (BatchNorm, Add, ReLU), RELU),
    Pattern("batch_norm", (BatchNorm, Add)),
    Pattern("batch_norm", (BatchNorm, ReLU), RELU),
    Pattern("group_norm", (GroupNorm, Add, ReLU), RELU),
    Pattern("group_norm", (GroupNorm, Add)),
    Pattern("group_norm", (GroupNorm, ReLU), RELU),
    Pattern("affine_relu", (Affine, ReLU)),
)
"""At each layer the longest pattern that fits is taken. A subclass of a layer fits none."""

Token: TypeAlias = tuple[type, Placed | None]


def plan(chain: Sequence[Placed], upstream: bool = False) -> Chain:
    """Return the steps of placed layers; ``upstream``: whether dx of the first is wanted."""
    tokens: list[Token] = [(type(placed.layer), placed) for placed in chain]
    steps, _ = _plan(tokens, upstream, False)
    return _chain(steps, upstream)


def _chain(steps: Sequence[Step | AddStep], upstream: bool) -> Chain:
    """Return a chain of steps, none of which adds: that one stands between a Residual's chains."""
    every = [step for step in steps if not isinstance(step, AddStep)]
    assert len(every) == len(steps)
    return Chain(every, upstream)


def _plan(
    tokens: Sequence[Token], upstream: bool, residual_wanted: bool
) -> tuple[list[Step | AddStep], int | None]:
    """Return the steps, and which of them adds a residual."""
    steps: list[Step | AddStep] = []
    join = None
    start = 0
    while start < len(tokens):
        pattern = _longest(tokens[start:])
        length = 1 if pattern is None else len(pattern.layers)
        taken = tokens[start : start + length]
        added = any(kind is Add for kind, _ in taken)
        if added:
            join = len(steps)
        wanted = residual_wanted and added
        step = _step(pattern, [placed for _, placed in taken if placed], upstream, added, wanted)
        upstream = upstream or step.active
        steps.append(step)
        start += length
    return steps, join


def _longest(tokens: Sequence[Token]) -> Pattern | None:
    fitting = [
        pattern
        for pattern in PATTERNS
        if tuple(kind for kind, _ in tokens[: len(pattern.layers)]) == pattern.layers
    ]
    return max(fitting, key=lambda pattern: len(pattern.layers), default=None)


def _step(
    pattern: Pattern | None,
    placed: Sequence[Placed],
    upstream: bool,
    added: bool,
    residual_wanted: bool,
) -> Step | AddStep:
    places = [one for one in placed if isinstance(one, Place)]
    if pattern is not None:
        return OperationStep(
            pattern.operation,
            places,
            upstream,
            pattern.keywords,
            residual=added,
            residual_wanted=residual_wanted,
        )
    if added:
        return AddStep()
    (one,) = placed
    if isinstance(one, Branches):
        return _residual(one, upstream)
    if isinstance(one.layer, OperationLayer) and not _overrides(one.layer):
        return OperationStep(one.layer.operation, places, upstream)
    return LayerStep(one, upstream)


def _overrides(layer: OperationLayer) -> bool:
    """Whether a user's subclass computes something of its own."""
    methods = ("forward", "backward", "infer")
    return any(getattr(type(layer), m) is not getattr(OperationLayer, m) for m in methods)


def _residual(branches: Branches, upstream: bool) -> ResidualStep:
    """Plan both paths; the sum and its relu are planned with the main one."""
    shortcut = plan(branches.shortcut, upstream)
    tokens: list[Token] = [(type(placed.layer), placed) for placed in branches.main]
    tokens.append((Add, None))
    if branches.layer.relu:
        shape = branches.out_shape
        tokens.append((ReLU, Place(ReLU(), f"{branches.where}.relu", shape, shape)))
    steps, position = _plan(tokens, upstream, shortcut.active)
    assert position is not None
    join = steps[position]
    assert isinstance(join, OperationStep | AddStep)
    before = _chain(steps[:position], upstream)
    after = _chain(steps[position + 1 :], True)
    return ResidualStep(before, shortcut, join, after, upstream)
