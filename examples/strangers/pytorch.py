"""PyTorch as backends; ONEDNN_MAX_CPU_ISA and OMP_NUM_THREADS choose instructions and threads."""

import os

import numpy as np
import torch
from torch.nn import functional

from convkit.contract import API_VERSION

# libgomp's threads do not live in a forked child, which would wait for them for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class Backend:
    api_version = API_VERSION
    set_num_threads = staticmethod(torch.set_num_threads)

    def __init__(self, name, channels_last=False, onednn=True):
        self.name, self.channels_last, self.onednn = name, channels_last, onednn
        self.exact, self.error_factor = onednn, 1 if onednn else 32  # else NNPACK transforms

    def supports(self, spec):
        if spec.axes > 3 or (self.channels_last and spec.axes == 1):
            return f"PyTorch has no {spec.axes}-D operator of this memory format"
        wide = any(a != b or 2 * a > k for (a, b), k in zip(spec.pad, spec.kernel, strict=True))
        if spec.operation != "conv" and wide:
            return "PyTorch's pools pad both ends alike, by half a kernel at most"
        return None

    def tensor(self, array):
        """A copy, for PyTorch takes no read-only memory; oneDNN's switch is set for all threads."""
        torch.backends.mkldnn.set_flags(self.onednn)
        kinds = {(4, True): torch.channels_last, (5, True): torch.channels_last_3d}
        wanted = kinds.get((array.ndim, self.channels_last), torch.contiguous_format)
        return torch.from_numpy(array.copy()).contiguous(memory_format=wanted)

    def padded(self, spec, x):
        """x, and the padding left to the operator, which pads both ends alike."""
        if any(begin != end for begin, end in spec.pad):
            return functional.pad(self.tensor(x), sum(spec.pad[::-1], ())), [0] * spec.axes
        return self.tensor(x), [begin for begin, _ in spec.pad]

    def conv_forward(self, spec, x, w, b):
        wide, pad = self.padded(spec, x)
        args = None if b is None else self.tensor(b), spec.stride, pad, spec.dilation, spec.groups
        out = getattr(functional, f"conv{spec.axes}d")(wide, self.tensor(w), *args)
        return np.ascontiguousarray(out), None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        wide, pad = self.padded(spec, x)
        args = [len(w)], spec.stride, pad, spec.dilation, False, [0] * spec.axes, spec.groups
        args += ([name in needs for name in ("dx", "dw", "db")],)
        found = torch.ops.aten.convolution_backward(self.tensor(dout), wide, self.tensor(w), *args)
        dx, dw, db = (None if t is None else np.ascontiguousarray(t) for t in found)
        if dx is not None and dx.shape != spec.x_shape:
            sizes = zip(spec.pad, spec.x_shape[2:], strict=True)
            dx = np.ascontiguousarray(dx[:, :, *(slice(p[0], p[0] + n) for p, n in sizes)])
        return dx, dw, db

    def pool(self, spec, x):
        function = getattr(functional, f"{spec.kind}_pool{spec.axes}d")
        args = spec.kernel, spec.stride, [begin for begin, _ in spec.pad]
        maximum, average = (spec.dilation, spec.ceil_mode), (spec.ceil_mode, spec.count_include_pad)
        return function(x, *args, *(maximum if spec.kind == "max" else average))

    def pool_forward(self, spec, x):
        return np.ascontiguousarray(self.pool(spec, self.tensor(x))), x.copy()

    def pool_backward(self, spec, dout, saved):
        x = self.tensor(saved).requires_grad_()
        (dx,) = torch.autograd.grad(self.pool(spec, x), x, self.tensor(dout))
        return np.ascontiguousarray(dx)


contiguous = Backend("torch_contiguous")
channels_last = Backend("torch_channels_last", channels_last=True)
contiguous_native = Backend("torch_contiguous_native", onednn=False)
channels_last_native = Backend("torch_channels_last_native", channels_last=True, onednn=False)
