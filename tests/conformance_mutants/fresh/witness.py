"""One cheap problem for every fresh mutant on which it differs from the correct backend.

It proves that the bug can be reached and is a bug.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convkit.spec import ConvSpec, PoolSpec

NEEDS = ("dx", "dw", "db")


@dataclass(frozen=True)
class Witness:
    """``scene(backend)`` returns what a bug shows in; ``tame`` are problems it is not met on."""

    scene: Callable[[Any], Any]
    cost: int | None
    """Multiply-adds; None for a sequence of calls, all of them of tiny problems."""
    slow: bool = False
    tame: tuple[Any, ...] = ()
    specs: tuple[Any, ...] = ()


WITNESSES: dict[str, Witness] = {}


# --- problems ---------------------------------------------------------------------------------


def conv(n, c, *sizes, f, k, s=1, p=0, d=1, g=1, bias=True, dtype="float32"):
    """A convolution of x (n, c, *sizes) with f filters."""
    kernel = (k,) * len(sizes) if isinstance(k, int) else k
    w = (f, c // g, *kernel)
    b = (f,) if bias else None
    return ConvSpec.of((n, c, *sizes), w, b, stride=s, pad=p, dilation=d, groups=g, dtype=dtype)


def pool(kind, n, c, *sizes, k, s=None, p=0, d=1, ceil=False, include=False, dtype="float32"):
    """A pooling of x (n, c, *sizes)."""
    flags = {"ceil_mode": ceil, "count_include_pad": include}
    shape = (n, c, *sizes)
    return PoolSpec.of(
        shape, kind=kind, kernel=k, stride=s, pad=p, dilation=d, dtype=dtype, **flags
    )


def fused(spec, **geometry):
    """A convolution, and the max pool of its result."""
    dtype = geometry.pop("dtype", spec.dtype)
    return spec, pool("max", *spec.out_shape, dtype=dtype, **geometry)


def cost(*specs):
    """Multiply-adds (comparisons, additions) of one pass."""
    total = 0
    for spec in specs:
        taps = spec.w_shape[1:] if isinstance(spec, ConvSpec) else spec.kernel
        total += math.prod(spec.out_shape) * math.prod(taps)
    return total


# --- data -------------------------------------------------------------------------------------


def array(shape, dtype, seed, data="ints"):
    """Test data: ``ints``, ``wide`` ones, ``nan`` (a few among integers), ``zeros`` or ``real``.

    ``zeros`` are integers of which half are 0, ``near`` ones differ in their last float64 bits.
    """
    rng = np.random.default_rng(seed)
    if data == "real":
        return rng.standard_normal(shape).astype(dtype)
    if data == "near":
        return 1 + rng.integers(0, 1 << 10, shape).astype(dtype) / (1 << 40)
    if data == "wide":
        return rng.integers(-(1 << 20), 1 << 20, shape).astype(dtype)
    values = rng.integers(-3, 4, shape).astype(dtype)
    if data == "zeros":
        values[rng.random(shape) < 0.5] = 0
    if data == "nan":
        values[rng.random(shape) < 0.02] = np.nan
    return values


def inputs(spec, data="ints", weights="ints", seed=17):
    """x, w and b of a convolution, or x of a pool."""
    x = array(spec.x_shape, spec.dtype, seed, data)
    if isinstance(spec, PoolSpec):
        return (x,)
    b = array(spec.w_shape[:1], spec.dtype, seed + 2, weights) if spec.has_bias else None
    return x, array(spec.w_shape, spec.dtype, seed + 1, weights), b


def compute(backend, path, *specs, data="ints", weights="ints", seed=17, needs=NEEDS):
    """The result of one path: forward, infer, dx, dw or db, of a conv, a pool or both fused."""
    given = inputs(specs[0], data, weights, seed)
    if len(specs) == 2:
        names = ("conv_relu_pool_forward", None, "conv_relu_pool_backward")
    elif isinstance(specs[0], ConvSpec):
        names = ("conv_forward", "conv_infer", "conv_backward")
    else:
        names = ("pool_forward", "pool_infer", "pool_backward")
    if path == "infer":
        return getattr(backend, names[1])(*specs, *given)
    out, saved = getattr(backend, names[0])(*specs, *given)
    if path == "forward":
        return out
    dout = array(out.shape, out.dtype, seed + 3)
    if isinstance(specs[0], PoolSpec):
        return backend.pool_backward(*specs, dout, saved)
    if specs[0].has_bias is False:
        needs = tuple(n for n in needs if n != "db")
    grads = getattr(backend, names[2])(*specs, dout, *given[:2], saved, needs)
    return grads[NEEDS.index(path)]


def together(backend, path, *problems, rounds=10):
    """The results of problems that threads compute at once, several times over."""
    start = threading.Barrier(len(problems))

    def task(problem):
        start.wait()
        return compute(backend, path, *problem)

    with ThreadPoolExecutor(len(problems)) as workers:
        return [found for _ in range(rounds) for found in workers.map(task, problems)]


def everything(backend, *specs):
    """The results of every path that the problem and the backend have."""
    if len(specs) == 2 and not hasattr(backend, "conv_relu_pool_forward"):
        return []
    paths = ["forward", "dx"]
    if isinstance(specs[0], ConvSpec):
        paths += ["dw", "db"] if specs[0].has_bias else ["dw"]
    if len(specs) == 1 and hasattr(backend, "conv_infer"):
        paths.append("infer")
    return [compute(backend, path, *specs) for path in paths]


def emptied(spec):
    """The same problem without an image."""
    return replace(spec, x_shape=(0, *spec.x_shape[1:]), out_shape=(0, *spec.out_shape[1:]))


SMALL = conv(2, 2, 6, 5, f=2, k=3, p=1)
ORDINARY = (
    (SMALL,),
    (pool("max", 2, 2, 6, 5, k=2),),
    (pool("avg", 2, 2, 6, 5, k=2),),
    fused(SMALL, k=2),
    (conv(2, 2, 7, f=2, k=3),),
    (pool("max", 2, 2, 7, k=2),),
    (pool("avg", 2, 2, 7, k=2),),
    (conv(2, 2, 4, 3, 4, f=2, k=(2, 1, 3)),),
    (pool("max", 2, 2, 4, 3, 4, k=2),),
)
"""Problems that hardly any specialised path is for: images, signals and volumes."""


# --- the decorators ---------------------------------------------------------------------------


def _keep(subject, found):
    name = subject.__name__.strip("_")
    if name in WITNESSES:
        raise ValueError(f"{name} has a witness already")
    WITNESSES[name] = found
    return subject


def witness(path, *specs, threads=None, calls=1, slow=False, tame=(), **data):
    """Say that a mutant differs in ``path`` of this problem, in the last of some calls."""
    if isinstance(specs[0], tuple):
        specs = specs[0]

    def scene(backend):
        if threads:
            backend.set_num_threads(threads)
        for _ in range(calls - 1):
            compute(backend, path, *specs, **data)
        return compute(backend, path, *specs, **data)

    found = Witness(scene, cost(*specs) * calls, slow, tuple(tame), specs)
    return lambda subject: _keep(subject, found)


def scene(function):
    """Say that a mutant differs in what ``function(backend)`` returns."""
    found = Witness(function, None)
    return lambda subject: _keep(subject, found)


def correct(mutant):
    """The correct backend that a mutant was made from."""
    home = "conformance_mutants.base"
    return next(c for c in mutant.make.__mro__ if c.__module__ == home)
