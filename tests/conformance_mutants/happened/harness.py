"""Run every pass of a backend on one problem, and compare with the correct backend.

This is not the conformance suite. It proves that a mutant has its bug, on a problem that is known
to trigger it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance_mutants.happened.base import RIGHT
from convkit.spec import ConvSpec, PoolSpec

NEEDS = (("dx", "dw", "db"), ("dx",), ("dw",), ("db",))


@dataclass(frozen=True)
class Problem:
    """A spec, the kind of data in its arrays, and the passes to run (all where none is named)."""

    spec: Any
    data: str = "integers"
    passes: tuple[str, ...] = ()


def conv(x, w, *, dtype=np.float32, data="integers", passes=(), **geometry):
    """A convolution with a bias, from its shapes."""
    return Problem(ConvSpec.of(x, w, w[:1], dtype=dtype, **geometry), data, passes)


def max_pool(x, kernel, *, dtype=np.float32, data="integers", **geometry):
    """A max pooling, from its shape."""
    return Problem(PoolSpec.of(x, kind="max", kernel=kernel, dtype=dtype, **geometry), data)


def avg_pool(x, kernel, *, dtype=np.float32, data="integers", **geometry):
    """An average pooling, from its shape."""
    return Problem(PoolSpec.of(x, kind="avg", kernel=kernel, dtype=dtype, **geometry), data)


ORDINARY = conv((1, 2, 5, 8), (3, 2, 2, 3))
ORDINARY_POOL = max_pool((1, 2, 5, 7), (2, 3))


@dataclass(frozen=True)
class Witness:
    """Problems that show the bug when run in this order, and one that does not."""

    problems: tuple[Problem, ...]
    ordinary: Problem
    threads: int = 1
    in_thread: bool = False


def shown(*problems, ordinary=None, **options):
    """A witness; its ordinary problem is of the same operation."""
    usual = ORDINARY if problems[0].spec.operation == "conv" else ORDINARY_POOL
    return Witness(problems, ordinary or usual, **options)


def fill(shape, dtype, data, rng):
    """An array of one kind of data: integers of few or of many bits, reals, or not finite."""
    low, high = {"positive": (1, 5), "negative": (-4, 0), "wide": (2049, 8192)}.get(data, (-4, 5))
    array = rng.integers(low, high, shape).astype(dtype)
    if data == "reals":
        array = rng.standard_normal(shape).astype(dtype)
    elif data == "falling":
        array = -np.arange(array.size, dtype=dtype).reshape(shape)
    elif data == "nan":
        array[rng.random(shape) < 0.3] = np.nan
    elif data in ("all nan", "all -inf"):
        array[:] = np.nan if data == "all nan" else -np.inf
    return array


def before_a_wall(array):
    """A copy whose end is the end of the memory that may be read."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, size + page)
    end = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + size
    if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(end), page, 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    copy = np.frombuffer(memory, array.dtype, array.size, size - array.nbytes)
    copy[:] = array.reshape(-1)
    return copy.reshape(array.shape)


def place(array, data):
    """The array, moved or given other strides where the kind of data asks for it."""
    if data == "wall":
        return before_a_wall(array)
    if data == "odd strides":
        step = array.itemsize * array.shape[1]
        return np.lib.stride_tricks.as_strided(array, strides=(*array.strides[:2], step, step))
    return array


def attempt(results, name, call):
    """Record what a call returns, or the name of the exception it raises."""
    try:
        results[name] = call()
    except Exception as error:
        results[name] = type(error).__name__


def outcomes(backend, problem):
    """Run a problem's passes; what each returned, by name."""
    spec, rng, results = problem.spec, np.random.default_rng(5), {}
    x = place(fill(spec.x_shape, spec.dtype, problem.data, rng), problem.data)
    kept = {"saved": None}
    inputs = (x,)
    if spec.operation == "conv":
        w = fill(spec.w_shape, spec.dtype, problem.data, rng)
        inputs = (x, w, fill(spec.w_shape[:1], spec.dtype, problem.data, rng))
    dout = fill(spec.out_shape, spec.dtype, "integers", rng)
    kind = "conv" if spec.operation == "conv" else "pool"

    def forward():
        out, kept["saved"] = getattr(backend, f"{kind}_forward")(spec, *inputs)
        return out

    def gradients(needs):
        found = backend.conv_backward(spec, dout, *inputs[:2], kept["saved"], needs)
        return tuple(g if n in needs else None for n, g in zip(NEEDS[0], found, strict=True))

    calls = {"forward": forward}
    if hasattr(backend, f"{kind}_infer"):
        calls["infer"] = lambda: getattr(backend, f"{kind}_infer")(spec, *inputs)
    if kind == "pool":
        calls["backward"] = lambda: backend.pool_backward(spec, dout, kept["saved"])
    else:
        for needs in NEEDS:
            calls["-".join(("backward", *needs))] = lambda needs=needs: gradients(needs)
        if hasattr(backend, "conv_relu_pool_forward"):
            calls["fused"] = lambda: fused(backend, spec, inputs, rng)
    for name, call in calls.items():
        if not problem.passes or name in problem.passes:
            attempt(results, name, call)
    return results


def fused(backend, spec, inputs, rng):
    """Convolution, relu and a max pool of 2 in one, there and back."""
    kernel = tuple(min(2, n) for n in spec.out_shape[2:])
    pool = PoolSpec.of(spec.out_shape, kind="max", kernel=kernel, dtype=spec.dtype)
    out, saved = backend.conv_relu_pool_forward(spec, pool, *inputs)
    dout = fill(pool.out_shape, spec.dtype, "integers", rng)
    return (
        out,
        *backend.conv_relu_pool_backward(spec, pool, dout, *inputs[:2], saved, NEEDS[0]),
    )


def same(one, other):
    """Whether two results are equal, element by element; NaN equals NaN."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    return one is None and other is None


def differing(backend, problems) -> list[str]:
    """The passes in which a backend differs from the correct one, over problems run in order."""
    found = []
    with np.errstate(all="ignore"):
        for problem in problems:
            right = outcomes(RIGHT, problem)
            mine = outcomes(backend, problem)
            found += [name for name, value in mine.items() if not same(value, right[name])]
    return found


def in_thread(call: Callable[[], Any]) -> Any:
    """What a call returns in a thread of its own."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def in_child(call: Callable[[], list[str]], seconds: float = 10) -> list[str]:
    """What a call returns in a forked process; ["died"] or ["hangs"] where it does not return."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def target():
        faulthandler.disable()  # a crash is what is expected here
        send.send(call())

    child = context.Process(target=target)
    child.start()
    send.close()
    try:
        if not receive.poll(seconds):
            return ["hangs"]
        return receive.recv()
    except EOFError:
        return ["died"]
    finally:
        child.kill()
        child.join()
