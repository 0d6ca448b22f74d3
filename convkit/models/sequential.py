"""Sequential: a network of layers that run one after the other.

It infers shapes, creates and names the arrays, and runs the layers forward and backward. Layers
that one operation computes together run as that operation (:mod:`convkit.models.fusion`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError, ShapeError
from convkit.layers import softmax_loss
from convkit.models import archive
from convkit.models import summary as summaries
from convkit.models.common import (
    Array,
    Labels,
    add_penalty,
    as_batch,
    check_counts,
    check_dtype,
    check_number,
)
from convkit.models.folding import fold
from convkit.models.fusion import plan
from convkit.models.modules.layer import Arrays, Context, Shape, arguments, written
from convkit.models.modules.residual import Element
from convkit.models.placing import Placing, leaves
from convkit.models.prediction import Predictor

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["FusedNetwork", "Loss", "Sequential"]

Loss: TypeAlias = Callable[[Array, Any], tuple[float, Array]]


class Sequential(Predictor):
    """A network of layers in a row.

    Parameters
    ----------
    layers:
        Of :mod:`convkit.models.modules`, or a user's own; a Residual holds layers itself.
    input_dim:
        The shape of one example, as (C, H, W) or (D,).
    dtype:
        float32 or float64: of the parameters and of every computation.
    rng:
        A seed or a Generator, for the initial weights and the dropout masks.
    backend:
        The backend of the layers, as in the layer functions; None follows the current selection.
    loss:
        ``(scores, y) -> (loss, dscores)``, as those of :mod:`convkit.layers`.
    reg:
        Strength of the penalty reg / 2 * the sum of the squares of the trained weights W.

    Attributes
    ----------
    params, buffers:
        The arrays by name: those that are trained, and those that are not (running statistics, the
        parameters of frozen layers). W1, b1, ... are numbered through the convolutions and affine
        layers in the order in which they run, a Residual's layers before its shortcut; a
        normalisation has the number of the layer before it, or the next one that is free.
    layers, input_dim, output_dim, dtype, rng, backend, loss_function, reg:
        The arguments, and the shape of one example's scores.
    preprocessing, class_names:
        What ``predict`` does to raw images, and the names of its labels; None until a Solver takes
        them from its data, or until they are set.

    Raises
    ------
    ShapeError, ParameterError:
        Where a layer does not fit; the message begins with the layer's place.
    """

    def __init__(
        self,
        layers: Sequence[Element],
        *,
        input_dim: Sequence[int],
        dtype: npt.DTypeLike = np.float32,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
        loss: Loss = softmax_loss,
        reg: float = 0.0,
    ) -> None:
        self.input_dim = _shape(input_dim)
        self.dtype, self.backend = check_dtype(dtype), backend
        self.reg, self.loss_function = check_number("reg", reg), loss
        self.rng = np.random.default_rng(rng)
        self.layers = tuple(layers)
        placing = Placing(self.dtype, self.rng)
        self.places, self.output_dim = placing.chain(self.layers, self.input_dim, "layers")
        self.params: dict[str, Array] = placing.params
        self.buffers: dict[str, Array] = placing.buffers
        self._steps = plan(self.places)
        trained = [names for place in leaves(self.places) for names in place.params]
        self._weights = [name for own, name in trained if own == "W"]

    @overload
    def loss(self, X: npt.ArrayLike, y: None = None) -> Array: ...
    @overload
    def loss(self, X: npt.ArrayLike, y: Any) -> tuple[float, dict[str, Array]]: ...

    def loss(
        self, X: npt.ArrayLike, y: Labels | Array | None = None
    ) -> Array | tuple[float, dict[str, Array]]:
        """Return the scores (N, *output_dim) of examples X (N, *input_dim), in inference.

        With y, in training: the loss and its gradient for every parameter, by name.
        """
        x = self.as_batch(X)
        context = Context(self.backend, self.rng)
        if y is None:
            out = self._steps.infer(x, self, context)
            return out.copy() if np.may_share_memory(out, x) else out
        scores, tape = self._steps.forward(x, self, context)
        loss, dscores = self.loss_function(scores, y)
        gradient = np.asarray(dscores, self.dtype)
        if gradient.shape != scores.shape:
            raise ShapeError(
                f"loss must return a gradient of the scores' shape (={scores.shape}), found "
                f"{gradient.shape}"
            )
        grads: Arrays = {}
        self._steps.backward(gradient, tape, grads)
        return add_penalty(float(loss), grads, self.params, self._weights, self.reg), grads

    def as_batch(self, X: npt.ArrayLike) -> Array:
        """Return X as an array of the network's dtype, (N, *input_dim); else raise ShapeError.

        A network of vectors, whose ``input_dim`` has one axis, takes examples of any shape with as
        many numbers.
        """
        batch = np.asarray(X, self.dtype)
        if (
            batch.ndim
            and len(self.input_dim) == 1
            and (math.prod(batch.shape[1:]),) == self.input_dim
        ):
            batch = batch.reshape(-1, *self.input_dim)
        return as_batch(batch, self.input_dim, self.dtype)

    def summary(self) -> str:
        """Return a table of the layers: output shape, parameters, multiply-adds of one example."""
        return summaries.summary(self.places, self, self.input_dim)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, whole or not at all.

        ``convkit.models.load`` reads it. The generator and the backend are not written. Raises
        ParameterError where an argument of a layer cannot be written.
        """
        archive.write(self, path)

    def fused(self) -> FusedNetwork:
        """Return a copy for inference, with every batch normalisation folded into its layer.

        Its scores are those of this network as it is now, to rounding.
        """
        layers, arrays = fold(self.places, self)
        network = FusedNetwork(
            layers, input_dim=self.input_dim, dtype=self.dtype, backend=self.backend
        )
        for place, own in zip(leaves(network.places), arrays, strict=True):
            for name, stored in place.names:
                kept = network.params if stored in network.params else network.buffers
                kept[stored] = own[name]
        network.preprocessing, network.class_names = self.preprocessing, self.class_names
        return network

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, but for ``rng`` and ``backend``."""
        found = arguments(self, loss=self.loss_function, dtype=self.dtype.name)
        return {name: value for name, value in found.items() if name not in ("rng", "backend")}

    def __repr__(self) -> str:
        values = self.config()
        if self.dtype == np.float32:
            del values["dtype"]
        if self.loss_function is softmax_loss:
            values.pop("loss", None)
        if "layers" not in values:
            return written(self, values)
        lines = "".join(f"    {layer!r},\n" for layer in values.pop("layers"))
        rest = written(self, values).partition("(")[2]
        return f"{type(self).__name__}([\n{lines}], {rest}"


class FusedNetwork(Sequential):
    """What :meth:`Sequential.fused` returns: a network for inference alone."""

    @overload
    def loss(self, X: npt.ArrayLike, y: None = None) -> Array: ...
    @overload
    def loss(self, X: npt.ArrayLike, y: Any) -> tuple[float, dict[str, Array]]: ...

    def loss(
        self, X: npt.ArrayLike, y: Labels | Array | None = None
    ) -> Array | tuple[float, dict[str, Array]]:
        """Return the scores; with y raise ParameterError, for there is nothing to train."""
        if y is not None:
            raise ParameterError("a fused network is for inference: train the one it was made of")
        return super().loss(X)


def _shape(input_dim: Sequence[int]) -> Shape:
    """Return the shape as a tuple of ints, each at least 1."""
    shape = tuple(input_dim)
    if not shape:
        raise ShapeError("input_dim (=()) must have at least one axis")
    check_counts(input_dim=shape)
    return tuple(int(size) for size in shape)
