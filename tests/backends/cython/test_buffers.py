"""The pool of result buffers: reused, bounded, and invisible in results."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy._core import _multiarray_umath
from numpy._core.multiarray import get_handler_name

from convkit.spec import ConvSpec, NormSpec, PoolSpec

convkit_cython = pytest.importorskip("convkit_cython")
_kernels = pytest.importorskip("convkit_cython._kernels")

MIB = 1 << 20
HANDLER_BYTES = 128 + 5 * ctypes.sizeof(ctypes.c_void_p)  # of a PyDataMem_Handler
of_others = [0]  # bytes of results that live outside a test


@pytest.fixture
def compiled() -> Iterator[Any]:
    """The backend, with an empty pool of 64 MiB."""
    made = convkit_cython.convkit_backend()
    _kernels.set_buffer_pool(64 * MIB, 3600)
    _kernels.empty_buffer_pool()
    gc.collect()
    of_others[0] = _kernels.buffer_pool()["used"]
    yield made
    _kernels.set_buffer_pool()
    _kernels.empty_buffer_pool()


def of_size(compiled: Any, size: int) -> Any:
    """Return a result of so many bytes."""
    return compiled.empty((size,), np.uint8)


def address(array: Any) -> int:
    return int(array.ctypes.data)


def kept() -> int:
    return int(_kernels.buffer_pool()["kept"])


def used() -> int:
    return int(_kernels.buffer_pool()["used"]) - of_others[0]


def test_a_freed_result_is_the_memory_of_the_next_one(compiled: Any) -> None:
    first = compiled.empty((2, 3, 512, 512), np.dtype("float32"))
    assert first.flags.owndata
    assert first.flags.c_contiguous
    assert first.base is None
    assert address(first) % 64 == 0
    where, size = address(first), used()
    assert 6 * MIB < size < 6 * MIB + 128 * 1024
    assert kept() == 0
    del first
    assert (kept(), used()) == (size, 0)
    second = compiled.empty((3, 512, 512), np.dtype("float64"))
    assert address(second) == where
    assert (kept(), used()) == (0, size)
    third = compiled.empty((3, 512, 512), np.dtype("float64"))
    assert not np.shares_memory(second, third)


def test_the_best_fit_is_taken_and_no_block_wastes_more_than_a_quarter(compiled: Any) -> None:
    held = [of_size(compiled, n * MIB) for n in (10, 9, 12, 8)]  # freed from the end
    where = {round(a.nbytes / MIB): address(a) for a in held}
    del held
    taken = [of_size(compiled, 9 * MIB) for _ in range(3)]
    assert [address(a) for a in taken[:2]] == [where[9], where[10]]
    assert address(taken[2]) not in where.values()  # 12 MiB would waste a third


def test_of_equal_blocks_the_last_one_freed_is_taken(compiled: Any) -> None:
    one, two = of_size(compiled, 2 * MIB), of_size(compiled, 2 * MIB)
    where = address(one)
    del two, one
    assert address(of_size(compiled, 2 * MIB)) == where


@pytest.mark.parametrize("size", [MIB // 8 - 1, 64 * MIB + 1])
def test_small_results_and_those_beyond_the_limit_do_not_use_it(compiled: Any, size: int) -> None:
    result = of_size(compiled, size)
    assert used() == 0
    del result
    assert kept() == 0


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(compiled: Any) -> None:
    held = [of_size(compiled, 10 * MIB) for _ in range(9)]
    places = [address(a) for a in held]
    while held:
        del held[0]
        assert kept() <= 64 * MIB
    assert kept() > 54 * MIB
    again = [of_size(compiled, 10 * MIB) for _ in range(6)]
    assert [address(a) for a in again] == places[:2:-1]
    del again
    _kernels.set_buffer_pool(25 * MIB, 3600)
    assert 20 * MIB < kept() <= 25 * MIB


def test_what_is_not_used_is_given_back(compiled: Any) -> None:
    held = [of_size(compiled, 5 * MIB) for _ in range(3)]
    last = of_size(compiled, 2 * MIB)
    del held
    assert kept() > 15 * MIB
    _kernels.set_buffer_pool(64 * MIB, 0.01)
    time.sleep(0.02)
    del last
    assert 2 * MIB <= kept() < 3 * MIB
    _kernels.set_buffer_pool(64 * MIB, 3600)
    compiled.release_memory()
    assert kept() == 0


def test_no_growth_over_many_calls(compiled: Any) -> None:
    rng, live, most = np.random.default_rng(0), [], 0
    for i in range(10_000):
        live.append(of_size(compiled, int(rng.integers(MIB, 4 * MIB))))
        live[-1][::4096] = i % 256
        if len(live) > 5:
            del live[rng.integers(len(live))]
        most = max(most, kept() + used())
    assert most <= 64 * MIB + 5 * 6 * MIB
    live.clear()
    assert used() == 0
    assert kept() <= 64 * MIB


def test_live_results_of_many_threads_never_share_memory(compiled: Any) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        rng, live = np.random.default_rng(number), []
        for i in range(400):
            made = compiled.empty((int(rng.integers(1, 4)), MIB), np.dtype(np.uint8))
            made[:, ::4096] = (number * 31 + i) % 256
            live.append((made, (number * 31 + i) % 256))
            if len(live) > 3:
                old, value = live.pop(int(rng.integers(len(live))))
                if not (old[:, ::4096] == value).all():
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert used() == 0
    assert kept() <= 64 * MIB


def test_a_result_may_be_freed_by_another_thread(compiled: Any) -> None:
    box = [of_size(compiled, 3 * MIB)]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert used() == 0
    assert kept() > 3 * MIB


def test_resizing_keeps_the_values(compiled: Any) -> None:
    result = compiled.empty((MIB,), np.dtype("float32"))
    result[:] = np.arange(MIB)
    for size in (MIB + 100, 3 * MIB, 9, 2 * MIB):
        before = result.copy()
        result.resize(size, refcheck=False)
        same = min(size, before.size)
        assert (result[:same] == before[:same]).all()
        assert not result[same:].any()
        assert address(result) % 64 == 0
    assert used() > 8 * MIB
    del result
    assert used() == 0


def test_copies_and_pickles_are_ordinary_arrays(compiled: Any) -> None:
    result = of_size(compiled, 2 * MIB)
    result[:] = 7
    size = used()
    for other in (result.copy(), pickle.loads(pickle.dumps(result)), np.empty(2 * MIB)):
        assert used() == size
        assert other.size == 2 * MIB
    assert (pickle.loads(pickle.dumps(result, protocol=5)) == 7).all()


def test_a_forked_child_uses_the_pool_and_leaves_its_parent_s_alone(compiled: Any) -> None:
    result, spare = of_size(compiled, 3 * MIB), of_size(compiled, 3 * MIB)
    result[:], size = 5, used()
    del spare
    stop = threading.Event()

    def busy() -> None:  # so that a fork may come while the lock is held
        while not stop.is_set():
            of_size(compiled, MIB + 1)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                ok = (result == 5).all()
                result[:] = 6
                for _ in range(20):
                    of_size(compiled, 3 * MIB)[:] = 9
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert (result == 5).all()
    del result
    assert used() == 0
    assert kept() >= size


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import numpy as np, convkit_cython as c\n" + code],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


ASK = "b = c.convkit_backend(); a = b.empty((1 << 21,), np.uint8); print(b.info()['buffer_pool'])"


@pytest.mark.parametrize(
    ("value", "limit", "uses"), [("0", 0, False), (" 3000000", 3_000_000, True)]
)
def test_the_limit_is_the_variable_s(value: str, limit: int, uses: bool) -> None:
    done = run(ASK, CONVKIT_BUFFER_POOL=value)
    assert done.returncode == 0, done.stderr
    assert f"'limit': {limit}," in done.stdout
    assert ("'used': 0}" not in done.stdout) == uses


def test_by_default_the_limit_is_a_share_of_the_memory() -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    page = os.sysconf("SC_PAGESIZE")
    done = run(ASK, CONVKIT_BUFFER_POOL="")
    limit = int(done.stdout.split(",")[0].split(":")[1])
    assert 0 <= min(512 * MIB, memory // 16) - limit <= page


@pytest.mark.parametrize("value", ["1e9", "-1", "64M", str(1 << 63)])
def test_a_limit_that_is_no_number_of_bytes_is_refused(value: str) -> None:
    done = run("c.convkit_backend()", CONVKIT_BUFFER_POOL=value)
    assert done.returncode != 0
    assert (
        f"CONVKIT_BUFFER_POOL (={value!r}) must be a whole number of bytes, 0 to keep none; "
        "unset it for the default"
    ) in done.stderr


def test_results_that_outlive_the_interpreter_s_end_do_no_harm() -> None:
    code = "import sys, builtins\nb = c.convkit_backend()\na = b.empty((1 << 22,), np.uint8)\n"
    code += "cycle = [a]; cycle.append(cycle); builtins.kept = b.empty((1 << 22,), np.uint8)\n"
    code += "sys.modules['later'] = b.empty((1 << 23,), np.uint8); print('done')"
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_tracemalloc_sees_results_as_it_sees_any_array(compiled: Any) -> None:
    of_size(compiled, 4 * MIB)
    tracemalloc.start()
    try:
        result = of_size(compiled, 4 * MIB)
        assert 4 * MIB <= tracemalloc.get_traced_memory()[0] < 4.1 * MIB
        result.resize(8 * MIB, refcheck=False)
        assert 8 * MIB <= tracemalloc.get_traced_memory()[0] < 8.1 * MIB
        del result
        assert tracemalloc.get_traced_memory()[0] < 0.1 * MIB
    finally:
        tracemalloc.stop()


def norm(compiled: Any) -> Iterator[Any]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((16, 32, 32, 32)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, 32)).astype(np.float32)
    spec = NormSpec.of(x, gamma, beta, kind="batch", relu=True)
    out, saved, *_ = compiled.batch_norm_forward(spec, x, gamma, beta, None, None, None)
    needs = ("dx", "dgamma", "dbeta")
    yield out
    yield from compiled.batch_norm_backward(spec, x, x, gamma, beta, saved, needs)


def conv(compiled: Any) -> Iterator[Any]:
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((16, 32, 32, 32)), rng.standard_normal((32, 32, 3, 3))
    spec, pool = ConvSpec.of(x, w, pad=1), PoolSpec.of(x, kind="max", kernel=2, stride=2)
    out, saved = compiled.conv_forward(spec, x, w, None)
    yield out
    yield from compiled.conv_backward(spec, out, x, w, saved, ("dx", "dw"))[:2]
    out, saved = compiled.conv_relu_forward(spec, x, w, None)
    yield from compiled.conv_relu_backward(spec, out, x, w, saved, ("dx", "dw"))[:2]
    out, saved = compiled.pool_forward(pool, x)
    yield out
    yield compiled.pool_backward(pool, out, saved)
    out, saved = compiled.conv_relu_pool_forward(spec, pool, x, w, None)
    yield out
    needs = ("dx", "dw")
    yield from compiled.conv_relu_pool_backward(spec, pool, out, x, w, saved, needs)[:2]


@pytest.mark.parametrize("operation", [norm, conv])
def test_results_are_the_same_with_and_without_and_written_as_a_whole(
    compiled: Any, operation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kernels.set_buffer_pool(0)
    want = [r.tobytes() for r in operation(compiled)]
    assert used() == 0
    _kernels.set_buffer_pool(64 * MIB)
    assert [r.tobytes() for r in operation(compiled)] == want  # fresh memory
    assert kept() > 0
    monkeypatch.setenv("CONVKIT_POISON", "1")
    assert np.isnan(compiled.empty((MIB,), np.dtype("float64"))).all()
    assert [r.tobytes() for r in operation(compiled)] == want  # full of NaN


def test_the_usual_allocator_is_in_use_after_a_result(compiled: Any) -> None:
    usual = get_handler_name(np.empty(1))
    result = of_size(compiled, 2 * MIB)
    assert get_handler_name(result) == "convkit_buffer_pool" != usual
    assert get_handler_name(np.empty(2 * MIB)) == usual == get_handler_name()


def test_a_memory_handler_that_the_user_has_set_is_left_in_charge(compiled: Any) -> None:
    def pointer(capsule: Any, name: bytes | None) -> int:
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        return int(get(capsule, name))

    # NumPy's own allocator under another name; the interface is only for C.
    table = (ctypes.c_void_p * 307).from_address(pointer(_multiarray_umath._ARRAY_API, None))
    usual = ctypes.cast(table[306] or 0, ctypes.POINTER(ctypes.py_object)).contents.value
    copied = ctypes.create_string_buffer(
        ctypes.string_at(pointer(usual, b"mem_handler"), HANDLER_BYTES), HANDLER_BYTES
    )
    copied[0:5] = b"users"
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    )
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[304] or 0)
    name = ctypes.c_char_p(b"mem_handler")
    before = set_handler(new(ctypes.addressof(copied), name, None))
    try:
        result = of_size(compiled, 2 * MIB)
        assert get_handler_name(result).startswith("users")
        assert get_handler_name().startswith("users")
        assert used() == 0
        del result
    finally:
        set_handler(before)
    assert get_handler_name(of_size(compiled, 2 * MIB)) == "convkit_buffer_pool"
