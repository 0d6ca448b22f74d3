"""A check of a layer's gradients against numerical ones."""

from __future__ import annotations

from convkit.gradcheck import gradcheck


def check_array_gradients(forward, backward, arrays, dout):
    """Compare backward's gradients with numerical ones, one per array, in order."""
    _, cache = forward(*arrays)
    gradients = backward(dout, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for i, analytic in enumerate(gradients):
        report = gradcheck(lambda _: forward(*arrays)[0], arrays[i], analytic, dout, floor=1e-2)
        assert report.error < 1e-7, (i, str(report))
