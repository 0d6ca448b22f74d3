"""PyTorch's own samples of its operators (OpInfo): values and gradients, on every backend.

They are what PyTorch tests its operators with. A row of ADAPTERS says how a sample is asked of
convkit; what convkit has no counterpart for is left out for a reason in an Unlike, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

import convkit

pytestmark = pytest.mark.slow  # importing the samples takes ten seconds

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest, which is missing")

FLOATS = {"float32": 5e-4, "float64": 1e-10}
"""Of a set of one number, dx is what rounding leaves, times 1 / sqrt(eps) = 316."""

FUNCTIONAL = "nn.functional."


class Unlike(Exception):  # noqa: N818
    """A sample that convkit has no counterpart for, and why."""


@dataclass
class Call:
    """A sample as both are asked: on ``inputs``, of which the first is x.

    ``ours`` takes arrays and returns (out, cache); ``back`` is the backward function, None where
    there is none. ``theirs`` takes tensors. ``also`` compares what else there is.
    """

    inputs: list[Any]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    back: Callable[..., Any] | None = None
    also: Callable[[], None] | None = field(default=None)


def batched(sample: Any, axes: int) -> Any:
    """x with an axis of images, which PyTorch's samples may lack."""
    x = sample.input
    return x if x.dim() == axes + 2 else x[None]


def conv(axes: int, transposed: bool, sample: Any, backend: str) -> Call:
    x, (w, b) = batched(sample, axes), sample.args
    names = {"padding": "pad", "output_padding": "output_pad"}
    keywords = {names.get(name, name): value for name, value in sample.kwargs.items()}
    function = getattr(torch.nn.functional, f"conv{'_transpose' * transposed}{axes}d")
    name = f"conv{'_transpose' * transposed}"
    return Call(
        [x, w, *([] if b is None else [b])],
        partial(getattr(convkit, f"{name}_forward"), **lone(keywords), backend=backend),
        partial(function, **sample.kwargs),
        getattr(convkit, f"{name}_backward"),
    )


def lone(keywords: dict[str, Any]) -> dict[str, Any]:
    """A tuple of one number is that number for every axis, as PyTorch has it."""
    return {k: v[0] if isinstance(v, tuple) and len(v) == 1 else v for k, v in keywords.items()}


def batch_norm(sample: Any, backend: str) -> Call:
    x = sample.input
    if x.dim() < 2:
        raise Unlike("x has no axis of channels")
    if not x.numel():
        raise Unlike("nothing to normalise")
    mean, var, gamma, beta = (*sample.args, None, None)[:4]
    training, momentum = sample.kwargs.get("training", False), sample.kwargs.get("momentum", 0.1)
    gamma = torch.ones_like(x[0].flatten(1)[:, 0]) if gamma is None else gamma
    beta = torch.zeros_like(gamma) if beta is None else beta
    eps = sample.kwargs.get("eps", 1e-5)
    theirs = partial(torch.nn.functional.batch_norm, training=training, eps=eps)
    if not training:
        if mean is None or var is None:
            raise Unlike("inference without running statistics")
        given = {"running_mean": mean.numpy(), "running_var": var.numpy(), "training": False}
        ours = partial(convkit.batch_norm_forward, eps=eps, backend=backend, **given)
        return Call(
            [x, gamma, beta], ours,
            lambda x, gamma, beta: theirs(x, mean, var, gamma, beta), convkit.batch_norm_backward,
        )  # fmt: skip
    moves = mean is not None and 0 <= momentum <= 1
    param: dict[str, Any] = {"eps": eps, "mode": "train", "unbiased": True}
    moved = [None, None]
    if moves:
        param |= {"running_mean": mean.numpy().copy(), "running_var": var.numpy().copy()}
        param["momentum"] = 1 - momentum
        moved = [mean.clone(), var.clone()]

    def compare() -> None:
        if moves:
            for name, theirs_moved in zip(("mean", "var"), moved, strict=True):
                agree(param[f"running_{name}"], theirs_moved)

    return Call(
        [x, gamma, beta],
        lambda x, gamma, beta: convkit.batch_norm_forward(x, gamma, beta, param, backend=backend),
        lambda x, g, b: theirs(x, *moved, g, b, momentum=momentum if moves else 0.1),
        convkit.batch_norm_backward, compare,
    )  # fmt: skip


def group_norm(sample: Any, backend: str) -> Call:
    x, (groups, *_) = sample.input, sample.args
    gamma, beta = (sample.kwargs.get(name) for name in ("weight", "bias"))
    return _grouped(x, gamma, beta, groups, sample.kwargs.get("eps", 1e-5), backend)


def instance_norm(sample: Any, backend: str) -> Call:
    given = sample.kwargs
    if not given.get("use_input_stats", True):
        raise Unlike("instance normalisation by running statistics")
    x, gamma, beta = sample.input, given.get("weight"), given.get("bias")
    return _grouped(x, gamma, beta, x.shape[1], given.get("eps", 1e-5), backend)


def _grouped(x: Any, gamma: Any, beta: Any, groups: int, eps: float, backend: str) -> Call:
    if not eps > 0:
        raise Unlike("eps below 0")
    if not x.numel():
        raise Unlike("nothing to normalise")
    gamma = torch.ones(x.shape[1], dtype=x.dtype) if gamma is None else gamma
    beta = torch.zeros_like(gamma) if beta is None else beta
    return Call(
        [x, gamma, beta],
        partial(convkit.group_norm_forward, groups=groups, eps=eps, backend=backend),
        lambda x, gamma, beta: torch.nn.functional.group_norm(x, groups, gamma, beta, eps),
        convkit.group_norm_backward,
    )


def layer_norm(sample: Any, backend: str) -> Call:
    """A group normalisation of vectors with one group."""
    x, (shape, *weights) = sample.input, sample.args
    numbers = int(np.prod(shape))
    gamma, beta = (None if w is None else w.flatten() for w in (*weights, None, None)[:2])
    eps = sample.kwargs.get("eps", 1e-5)
    call = _grouped(x.reshape(-1, numbers), gamma, beta, 1, eps, backend)
    call.theirs = lambda x, gamma, beta: torch.nn.functional.layer_norm(
        x, (numbers,), gamma, beta, eps
    )
    return call


WINDOW = ("kernel", "dilation", "pad", "stride")


def unfold(sample: Any, backend: str) -> Call:
    """unfold; and fold, which has no samples of its own, as its gradient and of its columns."""
    x = batched(sample, 2)
    geometry = dict(zip(WINDOW, sample.args, strict=False))

    def compare() -> None:
        columns = torch.nn.functional.unfold(x, *sample.args)
        want = torch.nn.functional.fold(columns, x.shape[2:], *sample.args)
        agree(convkit.fold(columns.numpy(), tuple(x.shape), **geometry), want)

    return Call(
        [x],
        lambda x: (convkit.unfold(x, **geometry), x.shape),
        lambda x: torch.nn.functional.unfold(x, *sample.args),
        lambda dout, shape: convkit.fold(dout, shape, **geometry),
        compare,
    )


def max_pool(axes: int, sample: Any, backend: str) -> Call:
    given = sample.kwargs
    x = batched(sample, axes)
    kernel, stride = given["kernel_size"], given.get("stride")
    ours = lone(
        {
            "kernel": kernel, "stride": stride, "pad": given["padding"],
            "dilation": given["dilation"], "ceil_mode": given["ceil_mode"],
        }
    )  # fmt: skip
    function = getattr(torch.nn.functional, f"max_pool{axes}d")

    def compare() -> None:
        _, indices = function(x, **{**given, "return_indices": True})
        found = convkit.max_pool_indices(x.detach().numpy(), **ours, backend=backend)[1]
        np.testing.assert_array_equal(found, indices.numpy())

    return Call(
        [x],
        partial(convkit.max_pool_forward, **ours, backend=backend),
        partial(function, **{**given, "return_indices": False}),
        convkit.max_pool_backward, compare,
    )  # fmt: skip


Adapter = Callable[[Any, str], Call]
ADAPTERS: dict[str, tuple[Adapter, int]] = {
    **{f"conv{axes}d": (partial(conv, axes, False), 10) for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": (partial(conv, axes, True), 10) for axes in (1, 2, 3)},
    "batch_norm": (batch_norm, 8),
    "group_norm": (group_norm, 10),
    "instance_norm": (instance_norm, 5),
    "layer_norm": (layer_norm, 4),
    "unfold": (unfold, 100),
    "max_pool1d": (partial(max_pool, 1), 400),
    "max_pool2d": (partial(max_pool, 2), 700),
    "max_pool3d": (partial(max_pool, 3), 250),
}
"""How a sample of each operator is asked, and how many there are at least."""

POOLS = tuple(f"max_pool{axes}d" for axes in (1, 2, 3))
FEWER = {"im2col_numpy": dict.fromkeys(POOLS, 4), "naive": dict.fromkeys(POOLS, 12)}
"""Of how many samples a slow backend is asked one."""


def samples(name: str, dtype: str) -> Iterator[Any]:
    """Every sample; of those that differ in whether indices are returned, one."""
    from torch.testing._internal.common_methods_invocations import op_db

    (op, *_) = [found for found in op_db if found.name == FUNCTIONAL + name]
    torch.manual_seed(0)
    for sample in op.sample_inputs("cpu", getattr(torch, dtype), requires_grad=False):
        if sample.kwargs.get("return_indices", True):
            yield sample


def agree(got: Any, want: Any) -> None:
    tolerance = FLOATS[got.dtype.name]
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=tolerance, atol=tolerance)


def check(call: Call, rng: np.random.Generator) -> None:
    arrays = [tensor.detach().numpy() for tensor in call.inputs]
    leaves = [tensor.detach().clone().requires_grad_() for tensor in call.inputs]
    out, cache = call.ours(*arrays)
    want = call.theirs(*leaves)
    agree(out, want)
    if call.also is not None:
        call.also()
    if call.back is not None:
        dout = rng.standard_normal(out.shape).astype(out.dtype)
        wanted = torch.autograd.grad(want, leaves, torch.from_numpy(dout))
        found = call.back(dout, cache)
        for ours, theirs in zip(
            found if isinstance(found, tuple) else (found,), wanted, strict=False
        ):
            agree(ours, theirs)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ADAPTERS)
def test_samples(backend: str, name: str, dtype: str, record_property: Any) -> None:
    adapter, least = ADAPTERS[name]
    rng = np.random.default_rng(0)
    counted: Counter[str] = Counter()
    step = FEWER.get(backend, {}).get(name, 1)
    for sample in islice(samples(name, dtype), 0, None, step):
        try:
            call = adapter(sample, backend)
        except Unlike as reason:
            counted[str(reason)] += 1
            continue
        check(call, rng)
        counted["checked"] += 1
    record_property("samples", dict(counted))
    assert counted["checked"] >= least // step
