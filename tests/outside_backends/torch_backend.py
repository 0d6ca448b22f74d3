"""Convolution by PyTorch's own kernels, pooling by its tensor operations.

PyTorch's max pooling gives the gradient to the last NaN of a window and pads symmetrically, so
windows are unfolded here and the winner is picked by the rules of this contract.
"""

from __future__ import annotations

import math
import os

import numpy as np
import torch

from convkit.contract import API_VERSION

if hasattr(os, "register_at_fork"):
    # The threads of libgomp do not live in a forked child, which would wait for them for ever.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def tensor(array):
    """A copy: PyTorch takes neither read-only memory nor the odd strides of axes of length 1."""
    return torch.from_numpy(array.copy())


def padded(spec, x, value=0.0):
    """x with its padding, and behind it what ceil_mode's last windows overhang."""
    ends = []
    for axis in range(spec.axes):
        begin = spec.pad[axis][0]
        last = (spec.out_shape[2 + axis] - 1) * spec.stride[axis] + spec.window[axis]
        ends.append((begin, max(0, last - begin - spec.x_shape[2 + axis])))
    return torch.nn.functional.pad(x, [n for pair in reversed(ends) for n in pair], value=value)


def image(spec, dx):
    """What belongs to the image, of a gradient of ``padded``."""
    for axis in range(spec.axes):
        dx = dx.narrow(2 + axis, spec.pad[axis][0], spec.x_shape[2 + axis])
    return dx.contiguous().numpy()


def windows(spec, x):
    """(..., outputs, taps), in row-major order of the taps."""
    first = x.ndim - spec.axes
    for axis in range(spec.axes):
        x = x.unfold(first + axis, spec.window[axis], spec.stride[axis])
        x = x.narrow(first + axis, 0, spec.out_shape[2 + axis])
        x = x[..., :: spec.dilation[axis]]
    return x.reshape(*x.shape[: first + spec.axes], math.prod(spec.kernel))


class TorchBackend:
    """Everything, in one and two and three dimensions."""

    name = "torch"
    api_version = API_VERSION

    def supports(self, spec):
        return None

    def conv_forward(self, spec, x, w, b):
        conv = getattr(torch.nn.functional, f"conv{spec.axes}d")
        bias = None if b is None else tensor(b)
        out = conv(
            padded(spec, tensor(x)), tensor(w), bias,
            spec.stride, 0, spec.dilation, spec.groups,
        )  # fmt: skip
        return out.contiguous().numpy(), None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        wide = padded(spec, tensor(x))
        dx, dw, db = torch.ops.aten.convolution_backward(
            tensor(dout), wide, tensor(w), [len(w)],
            spec.stride, [0] * spec.axes, spec.dilation, False, [0] * spec.axes, spec.groups,
            ["dx" in needs, "dw" in needs, "db" in needs],
        )  # fmt: skip
        dx = image(spec, dx) if "dx" in needs else None
        dw = dw.contiguous().numpy() if "dw" in needs else None
        if dw is not None and not np.isfinite(dw).all():
            dw = self.dw_without_padding(spec, dout, x)
        return dx, dw, db.numpy() if "db" in needs else None

    def dw_without_padding(self, spec, dout, x):
        """Padding is no term of dw: its zeros must not meet an infinite dout."""
        dw = np.zeros(spec.w_shape, spec.dtype)
        for tap, outs, ins in spec.taps():
            grads, pixels = (
                tensor(a).flatten(2).unflatten(1, (spec.groups, a.shape[1] // spec.groups))
                for a in (dout[:, :, *outs], x[:, :, *ins])
            )
            total = torch.einsum("ngfp,ngcp->gfc", grads, pixels)
            dw[:, :, *tap] = total.reshape(spec.w_shape[:2]).numpy()
        return dw

    def pool_forward(self, spec, x):
        if spec.kind == "avg":
            total = windows(spec, padded(spec, tensor(x))).sum(-1)
            return (total / self.divisor(spec)).contiguous().numpy(), None
        seen = windows(spec, padded(spec, tensor(x), -math.inf))
        best = seen.amax(-1)
        real = windows(spec, padded(spec, torch.ones(spec.x_shape[2:])[None, None])) > 0
        hits = real & ((seen == best[..., None]) | seen.isnan())
        return best.contiguous().numpy(), hits.to(torch.uint8).argmax(-1)

    def pool_backward(self, spec, dout, saved):
        wide = padded(spec, torch.zeros(spec.x_shape, dtype=tensor(dout).dtype))
        places = windows(spec, torch.arange(wide.numel()).reshape(wide.shape))
        grads = tensor(dout)
        if spec.kind == "max":
            places = places.gather(-1, saved[..., None])[..., 0]
        else:
            grads = (grads / self.divisor(spec))[..., None].expand(places.shape)
        wide.view(-1).index_add_(0, places.reshape(-1), grads.reshape(-1))
        return image(spec, wide)

    @staticmethod
    def divisor(spec):
        grid = torch.ones((), dtype=torch.float64)
        for counts in spec.counts:
            grid = grid[..., None] * torch.tensor(counts, dtype=torch.float64)
        return grid.to(torch.float32 if spec.dtype == np.float32 else torch.float64)

    def set_num_threads(self, n):
        torch.set_num_threads(n)
