"""Batch normalisation folded into the layer before it, for inference.

There gamma * (z - mean) / sqrt(var + eps) + beta is a factor and an addend for each channel: the
factor goes into the weights and the addend into the bias. The results differ by rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from convkit.models.common import Array
from convkit.models.modules.dropout import Dropout
from convkit.models.modules.layer import Arrays
from convkit.models.modules.norms import BatchNorm
from convkit.models.modules.residual import Element, Residual
from convkit.models.modules.weighted import Affine, Conv, ConvTranspose, Weighted
from convkit.models.placing import Branches, Place, Placed, Storage

__all__ = ["fold"]

Folded: TypeAlias = tuple[list[Element], list[Arrays]]


def fold(chain: Sequence[Placed], storage: Storage) -> Folded:
    """Return the layers for inference, and the arrays of each in the order of ``leaves``.

    Dropout is left out. A batch normalisation that follows no weights stays.
    """
    layers: list[Element] = []
    arrays: list[Arrays] = []
    for i, placed in enumerate(chain):
        following = chain[i + 1] if i + 1 < len(chain) else None
        if isinstance(placed, Branches):
            main, inner = fold(placed.main, storage)
            shortcut, side = fold(placed.shortcut, storage)
            layers.append(Residual(main, shortcut, placed.layer.relu))
            arrays += inner + side
        elif type(placed.layer) is Dropout or (i and _folds(chain[i - 1], placed)):
            continue
        elif isinstance(following, Place) and _folds(placed, following):
            layers.append(_with_bias(placed.layer))
            arrays.append(_folded(placed, following, storage))
        else:
            layers.append(copy.copy(placed.layer))
            arrays.append({own: array.copy() for own, array in placed.arrays(storage).items()})
    return layers, arrays


def _folds(placed: Placed, following: Placed) -> bool:
    weighted = type(placed.layer) in (Conv, ConvTranspose, Affine)
    return weighted and type(following.layer) is BatchNorm


def _with_bias(layer: Element) -> Element:
    other = copy.copy(layer)
    assert isinstance(other, Weighted)
    other.bias = True
    return other


def _folded(weighted: Place, norm: Place, storage: Storage) -> Arrays:
    """Return W and b of both layers together, worked out in float64."""
    own, n = weighted.arrays(storage), norm.arrays(storage)
    assert isinstance(norm.layer, BatchNorm)
    gamma, beta, mean, var = (
        n[name].astype(np.float64) for name in ("gamma", "beta", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(var + norm.layer.eps)
    b = own.get("b", np.zeros(1)).astype(np.float64)
    w = own["W"]
    return {
        "W": (w * _along_filters(weighted.layer, factor, w)).astype(w.dtype),
        "b": ((b - mean) * factor + beta).astype(w.dtype),
    }


def _along_filters(layer: Element, factor: Array, w: Array) -> Array:
    """Return one factor per filter in a shape that multiplies w."""
    ones = (1,) * (w.ndim - 2)
    if isinstance(layer, Affine):
        return factor
    if isinstance(layer, Conv):
        return factor.reshape(-1, 1, *ones)
    assert isinstance(layer, ConvTranspose)
    groups = factor.reshape(layer.groups, 1, -1)  # w is (C, filters / groups, ...)
    each = np.broadcast_to(groups, (layer.groups, len(w) // layer.groups, groups.shape[2]))
    return each.reshape(len(w), -1, *ones)
