"""NaN in max pooling."""

from __future__ import annotations

import numpy as np

from conformance_mutants.happened.base import Full, at, lowest
from conformance_mutants.registry import mutant, result


@mutant(**at("Theano/Theano/issues/3060"))
class TheanoNanUnlessFirst(Full):
    """NaN that is not the window's first pixel: ignored.

    Theano, Theano/Theano#3060.
    """

    def better(self, value, best, from_tap):
        return (from_tap < 0) | (value > best)


class Ignores(Full):
    """NaN never wins; a window of nothing else gives the lowest finite number."""

    def better(self, value, best, from_tap):
        return ~np.isnan(value) & ((from_tap < 0) | (value > best))

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        out[winner < 0] = lowest(spec)
        return out, winner


IGNORES = Ignores()


@mutant(**at("pytorch/pytorch/issues/7645"))
class PytorchNanIgnored(Ignores):
    """NaN in a window: ignored; a window of NaN gives the lowest finite number.

    PyTorch, pytorch/pytorch#7645.
    """


@mutant(**at("pytorch/pytorch/issues/39846"))
class PytorchNanIgnoredIn3d(Full):
    """NaN in three axes: a window of NaN gives the lowest finite number.

    PyTorch CUDA, pytorch/pytorch#39846.
    """

    def max_out(self, spec, x):
        return (IGNORES if spec.axes == 3 else super()).max_out(spec, x)


@mutant(**at("tensorflow/tensorflow/issues/125965"))
class TfNanByLane(Full):
    """NaN in float64: kept in whole vectors of 2 channels, ignored in the channel left over.

    TensorFlow, tensorflow/tensorflow#125965.
    """

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        if spec.dtype == np.float64 and spec.x_shape[1] % 2 and spec.axes == 2:
            other = IGNORES.max_out(spec, x)
            out[:, -1], winner[:, -1] = other[0][:, -1], other[1][:, -1]
        return out, winner


@result("pool_infer", Full, **at("plaidml/plaidml/issues/313"))
def plaidml_nan_is_zero(spec, out, x):
    """NaN in a window of max pooling: 0.

    PlaidML, plaidml/plaidml#313.
    """
    if spec.kind == "max":
        out[np.isnan(out)] = 0
