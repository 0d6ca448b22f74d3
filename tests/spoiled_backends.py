"""Backends that are right but for the last element of one result, each named as module:object."""

from __future__ import annotations

from convkit_im2col_numpy import Im2colNumpy


def spoiled(array):
    """Return the array with its last element a little off."""
    array.flat[-1] += 2.0**-6
    return array


class Out(Im2colNumpy):
    """Its convolutions."""

    def conv_forward(self, *args):
        out, saved = super().conv_forward(*args)
        return spoiled(out), saved


class OutOfInference(Im2colNumpy):
    """Its convolutions without a cache."""

    def conv_infer(self, *args):
        return spoiled(super().conv_forward(*args)[0])


class PoolOut(Im2colNumpy):
    """Its poolings."""

    def pool_forward(self, *args):
        out, saved = super().pool_forward(*args)
        return spoiled(out), saved


class PoolOutOfInference(Im2colNumpy):
    """Its poolings without a cache."""

    def pool_infer(self, *args):
        return spoiled(super().pool_infer(*args))


class PoolDx(Im2colNumpy):
    """Its poolings' gradients."""

    def pool_backward(self, *args):
        return spoiled(super().pool_backward(*args))


class Gradient(Im2colNumpy):
    """One of its convolutions' gradients."""

    place: int

    def conv_backward(self, *args):
        found = list(super().conv_backward(*args))
        found[self.place] = spoiled(found[self.place])
        return tuple(found)


class Dx(Gradient):
    """The first."""

    place = 0


class Dw(Gradient):
    """The second."""

    place = 1


class Db(Gradient):
    """The third."""

    place = 2
