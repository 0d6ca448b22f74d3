"""The compiled backend as a whole: threads, variables, its table of kernels, the fused pass."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from listed_kernels import DTYPES, integers, listed
from test_conv import CONVS
from test_fast import PROBLEMS as WINOGRAD_PROBLEMS
from test_norm import KINDS, NORMS
from test_norm import specs as norm_specs
from test_norm_pool import CASES as NORMS_WITH_A_POOL
from test_norm_pool import Problem
from test_pool import POOLS
from test_pooled import CASES as FUSED

from convkit.spec import ConvSpec, NormSpec, PoolSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")


def test_threads_of_python_and_forked_children_get_the_same_answer() -> None:
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((16, 3, 64, 64)), rng.standard_normal((32, 3, 3, 3))
    spec, backend = ConvSpec.of(x, w, pad=1), convkit_cython.convkit_backend()
    _kernels.set_num_threads(3)
    want = backend.conv_infer(spec, x, w, None).tobytes()
    results: list[bytes] = []
    callers = [
        threading.Thread(
            target=lambda: results.append(backend.conv_infer(spec, x, w, None).tobytes())
        )
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [want] * 4
    child = os.fork()
    if child == 0:
        same = backend.conv_infer(spec, x, w, None).tobytes() == want
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    _kernels.set_num_threads(2)


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("CONVKIT_ISA", "mmx", "must be an instruction set that this CPU has"),
        ("CONVKIT_NUM_THREADS", "two", "must be a whole number, 1 or more"),
        ("CONVKIT_NUM_THREADS", "0", "must be a whole number, 1 or more"),
        ("CONVKIT_NUM_THREADS", "-1", "must be a whole number, 1 or more"),
    ],
)
def test_a_variable_that_cannot_be_followed_is_refused(
    variable: str, value: str, rule: str
) -> None:
    code = "import convkit_cython; convkit_cython.convkit_backend()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert f"{variable} (={value!r}) {rule}" in run.stderr


@pytest.mark.parametrize(("value", "threads"), [("3", 3), (" 2 ", 2), ("100000", 256)])
def test_the_number_of_threads_is_the_variable_s(value: str, threads: int) -> None:
    code = "import convkit_cython as c; print(c.convkit_backend().info()['threads'])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CONVKIT_NUM_THREADS": value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) == threads


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("other.NUMBERS = compiled.NUMBERS", "INTERFACE (=None) must be"),
        ("other.INTERFACE = 0; other.NUMBERS = compiled.NUMBERS", "INTERFACE (=0) must be"),
        (
            "other.INTERFACE = compiled.INTERFACE",
            "listed by one alone: avg_pool_backward disjoint,",
        ),
        (
            "other.INTERFACE = compiled.INTERFACE;"
            "other.NUMBERS = compiled.NUMBERS | {('conv_dx', 'new'): 99}",
            "listed by one alone: conv_dx new)",
        ),
    ],
)
def test_a_module_compiled_from_other_sources_is_refused(change: str, rule: str) -> None:
    """In a process of its own, with a compiled module of another interface or other kernels."""
    code = f"""
import sys, types
from convkit_cython import _kernels as compiled
for name in list(sys.modules):
    if name.startswith("convkit_cython"):
        del sys.modules[name]
other = sys.modules["convkit_cython._kernels"] = types.ModuleType("convkit_cython._kernels")
{change}
from convkit import BackendLoadError, registry
try:
    registry.load("cython")
except BackendLoadError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert rule in run.stdout
    assert "rebuild it: pip install -e ." in run.stdout


def test_every_operation_lists_a_kernel_that_takes_everything_last() -> None:
    kernels, isa = convkit_cython.KERNELS, _kernels.InstructionSet()
    conv = ConvSpec.of((1, 1, 3), (1, 1, 2), dtype="f4")
    pool = PoolSpec.of((1, 1, 3), kind="max", kernel=2, dtype="f4")
    norm = NormSpec.of((1, 1, 3), (1,), (1,), kind="batch", dtype="f4")
    fused = (conv, pool)
    problems = {"conv_relu_pool": fused, "conv": conv, "max": pool, "avg": pool, "norm": norm}
    problems["relu"] = conv
    for operation in {kernel.operation for kernel in kernels}:
        last = [kernel for kernel in kernels if kernel.operation == operation][-1]
        problem = next(p for name, p in problems.items() if operation.startswith(name))
        assert last.applies(problem, isa)
        assert last.pays(problem, isa)


def test_a_kernel_that_an_instruction_set_lacks_is_not_listed_and_refused() -> None:
    before = _kernels.active_isa()
    spec = ConvSpec.of((1, 2, 8, 8), (2, 1, 3, 3), groups=2, pad=1, dtype="f4")
    try:
        _kernels.set_isa("generic")
        assert "depthwise_3x3" not in listed("conv_forward", spec)
        with pytest.raises(ValueError, match=r"conv_forward \(='depthwise_3x3'\) must be a kernel"):
            _kernels.ConvPlan(spec, "depthwise_3x3", "direct", "direct")
    finally:
        _kernels.set_isa(before)


def test_more_than_three_axes_are_declined() -> None:
    spec = ConvSpec.of((1, 1, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1), dtype=np.float32)
    backend = convkit_cython.convkit_backend()
    assert backend.supports(spec) == "its kernels take up to 3 spatial axes, not 4"


def test_the_peak_and_copy_measurements_do_what_they_say(isa: str) -> None:
    backend = convkit_cython.convkit_backend()
    vector = _kernels.isas()[isa][0]
    for dtype in DTYPES:
        once = backend.multiply_adds(dtype, 1)
        assert once % (2 * vector // np.dtype(dtype).itemsize) == 0
        assert backend.multiply_adds(dtype, 7) == 7 * once > 0
    source = np.arange(300_001, dtype=np.float32)
    to = np.zeros_like(source)
    backend.copy(to, source)
    np.testing.assert_array_equal(to, source)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "pooling", [{"kernel": 2}, {"kernel": 3, "stride": 2, "pad": 1}, {"kernel": (9, 8)}]
)
def test_the_fused_pass_is_its_three_parts(
    isa: str, dtype: Any, pooling: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FORWARD_BYTES", "_BACKWARD_BYTES"):
        monkeypatch.setattr(convkit_cython, name, 3 * 6 * 9 * 8 * np.dtype(dtype).itemsize)
    rng = np.random.default_rng(5)
    x, w, b = (integers(rng, shape, dtype) for shape in ((7, 3, 9, 8), (6, 3, 3, 3), (6,)))
    x[1, 0, 2, 3], x[6, 2, 8, 7], x[4] = np.nan, np.inf, 0
    b[0] = -1000  # everything is cut off
    conv = ConvSpec.of(x, w, b, pad=1)
    pool = PoolSpec.of(conv.out_shape, kind="max", dtype=dtype, **pooling)
    dout = integers(rng, pool.out_shape, dtype)
    backend = convkit_cython.convkit_backend()
    z = backend.conv_infer(conv, x, w, b)
    off = ~(z > 0)
    with np.errstate(invalid="ignore"):
        z = np.maximum(z, 0)
    want, arg = backend.pool_forward(pool, z)
    dz = backend.pool_backward(pool, dout, arg)
    dz[off] = 0
    out, saved = backend.conv_relu_pool_forward(conv, pool, x, w, b)
    np.testing.assert_array_equal(out, want)
    got = backend.conv_relu_pool_backward(conv, pool, dout, x, w, saved, ("dx", "dw", "db"))
    parts = backend.conv_backward(conv, dz, x, w, None, ("dx", "dw", "db"))
    for mine, theirs in zip(got, parts, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("kernel", "size"), [((15, 17), 1), ((16, 16), 2), ((16, 17), 2)])
def test_an_index_has_room_for_no_argmax(isa: str, kernel: tuple[int, int], size: int) -> None:
    """The last pixel of a window is told from "not above 0", which is a number more."""
    backend = convkit_cython.convkit_backend()
    x = np.full((1, 2, 17, 18), -1.0)
    x[0, 0, kernel[0] - 1, kernel[1] - 1] = 5
    w, dout = np.eye(2).reshape(2, 2, 1, 1), np.full((1, 2, 1, 1), 3.0)
    conv = ConvSpec.of(x, w)
    pool = PoolSpec.of(conv.out_shape, kind="max", kernel=kernel, stride=99, dtype=x.dtype)
    out, saved = backend.conv_relu_pool_forward(conv, pool, x, w, None)
    assert saved.itemsize == size
    assert out.ravel().tolist() == [5, 0]
    dx, _, _ = backend.conv_relu_pool_backward(conv, pool, dout, x, w, saved, ("dx",))
    assert dx[0, 0, kernel[0] - 1, kernel[1] - 1] == 3
    assert np.count_nonzero(dx) == 1


def problems() -> Iterator[tuple[str, Any]]:
    """Every operation and problem on which the tests force the listed kernels."""
    for dtype in DTYPES:
        for x_shape, w_shape, keywords in CONVS.values():
            conv = ConvSpec.of(x_shape, w_shape, dtype=dtype, **keywords)
            yield from ((f"conv_{what}", conv) for what in ("forward", "dx", "dw", "db"))
            yield from ((what, conv) for what in ("relu_bits", "relu_backward"))
        for x_shape, keywords in POOLS.values():
            for kind in ("max", "avg"):
                pool = PoolSpec.of(x_shape, kind=kind, dtype=dtype, **keywords)
                yield from ((f"{kind}_pool_{what}", pool) for what in ("forward", "backward"))
        for x_shape, filters, groups, pad in WINOGRAD_PROBLEMS.values():
            weights = (filters, x_shape[1] // groups, 3, 3)
            conv = ConvSpec.of(x_shape, weights, dtype=dtype, pad=pad, groups=groups)
            yield from ((f"conv_{what}", conv) for what in ("forward", "dx"))
        for case in FUSED.values():
            conv = ConvSpec.of(case.x, case.w, dtype=dtype, **case.conv)
            pool = PoolSpec.of(conv.out_shape, kind="max", dtype=dtype, **case.pool)
            yield "conv_relu_pool_dw", (conv, pool)
        for shape, groups in NORMS.values():
            for kind in KINDS:
                for norm in norm_specs(kind, shape, groups, dtype):
                    yield from ((f"norm_{what}", norm) for what in ("forward", "backward"))
        for name in NORMS_WITH_A_POOL:
            problem = Problem(name, dtype, True, False, False)
            specs = problem.norm, problem.pool
            yield from ((f"norm_pool_{what}", specs) for what in ("forward", "backward"))


def test_every_row_of_the_table_is_forced_and_chosen_by_some_problem(isa: str) -> None:
    of, kernels = _kernels.InstructionSet(), convkit_cython.table.FAST_KERNELS
    chosen, beaten = set(), set()
    for operation, problem in problems():
        first, *others = convkit_cython.candidates(operation, problem, kernels)
        chosen.add((operation, first.name))
        beaten.update((operation, kernel.name) for kernel in others)
    masked = {
        *(("conv_" + what, "depthwise_3x3") for what in ("forward", "dx", "dw")),
        *((what, "overlap") for what in ("max_pool_forward", "avg_pool_forward")),
        *(("avg_pool_" + what, "plane") for what in ("forward", "backward")),
        ("avg_pool_backward", "overlap"),
    }
    rows = {(kernel.operation, kernel.name) for kernel in kernels}
    assert chosen | beaten == rows - (set() if of.masked_loads else masked)
    # Strips pay in some phases of depth alone only if vectors are as wide as these problems' rows.
    rare = set() if of.vector_bytes == 64 else {("conv_dx", "gemm_by_phase")}
    assert beaten - chosen == rare
