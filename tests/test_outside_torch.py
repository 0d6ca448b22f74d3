"""PyTorch as an independent reference: random problems in float64, forward and backward.

It shares no code, no author and no error with convkit. A thousand problems for each backend; a
slow one gets fewer.
"""

from __future__ import annotations

import numpy as np
import pytest

import convkit

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

PROBLEMS = {"conv": 200, "max_pool": 75, "avg_pool": 60}
"""For each number of spatial axes: 3 * (200 + 75 + 60) = 1005 in all."""

FEWER = {"naive": 20}


def per_axis(rng, axes, low, high):
    return tuple(map(int, rng.integers(low, high + 1, axes)))


def geometry(rng, axes):
    """Kernel, stride, dilation and an image at least as large as one window."""
    kernel, stride, dilation = (per_axis(rng, axes, 1, high) for high in (4, 3, 3))
    windows = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = tuple(int(w + rng.integers(0, 6)) for w in windows)
    return kernel, stride, dilation, sizes


def close(got, want):
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-11, atol=1e-11)


def check_conv(rng, axes, backend):
    kernel, stride, dilation, sizes = geometry(rng, axes)
    n, groups, per_group, filters = (int(v) for v in rng.integers(1, 4, 4))
    pad = tuple((int(b), int(e)) for b, e in rng.integers(0, 4, (axes, 2)))
    x = rng.standard_normal((n, groups * per_group, *sizes))
    w = rng.standard_normal((groups * filters, per_group, *kernel))
    b = rng.standard_normal(len(w)) if rng.random() < 0.7 else None
    out, cache = convkit.conv_forward(
        x, w, b, stride=stride, pad=pad, dilation=dilation, groups=groups, backend=backend
    )
    dout = rng.standard_normal(out.shape)
    found = convkit.conv_backward(dout, cache)
    arrays = [torch.tensor(a, requires_grad=True) for a in (x, w, b) if a is not None]
    wide = torch.nn.functional.pad(arrays[0], [p for pair in reversed(pad) for p in pair])
    conv = getattr(torch.nn.functional, f"conv{axes}d")
    bias = arrays[2] if b is not None else None
    want = conv(wide, arrays[1], bias, stride=stride, dilation=dilation, groups=groups)
    close(out, want)
    want.backward(torch.tensor(dout))
    for got, array in zip(found, arrays, strict=False):
        close(got, array.grad)


def check_pool(rng, axes, backend, kind):
    kernel, stride, dilation, sizes = geometry(rng, axes)
    dilation = dilation if kind == "max" else (1,) * axes
    pad = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)  # PyTorch allows no more
    x = rng.standard_normal((int(rng.integers(1, 4)), int(rng.integers(1, 4)), *sizes))
    ceil_mode, more = bool(rng.random() < 0.5), {}
    if kind == "avg":
        more = {"count_include_pad": bool(rng.random() < 0.5)}
    elif max(dilation) > 1:
        more = {"dilation": dilation}
    forward = getattr(convkit, f"{kind}_pool_forward")
    out, cache = forward(
        x, kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode, backend=backend, **more
    )
    dout = rng.standard_normal(out.shape)
    dx = getattr(convkit, f"{kind}_pool_backward")(dout, cache)
    array = torch.tensor(x, requires_grad=True)
    pool = getattr(torch.nn.functional, f"{kind}_pool{axes}d")
    # PyTorch's avg_pool1d alone wants its arguments named and unpacked the same way.
    want = pool(array, kernel, stride=stride, padding=pad, ceil_mode=ceil_mode, **more)
    close(out, want)
    want.backward(torch.tensor(dout))
    close(dx, array.grad)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("operation", PROBLEMS)
def test_random_problems(backend, operation, axes):
    rng = np.random.default_rng([axes, *operation.encode()])
    for _ in range(PROBLEMS[operation] // FEWER.get(backend, 1)):
        if operation == "conv":
            check_conv(rng, axes, backend)
        else:
            check_pool(rng, axes, backend, operation.removesuffix("_pool"))
