"""What a call costs besides its kernel, and what the import costs besides NumPy's.

1x3x8x8 with four 3x3 filters, and its 2x2 max pooling: a problem so small that little else is left,
against PyTorch on the same arrays with one thread each, in one interleaved run. The aim is half of
PyTorch's time; for the import 1.25 times NumPy's. Nothing here asserts a time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import convkit

pytest.importorskip("pytest_benchmark")
torch = pytest.importorskip("torch")

ROUNDS, CALLS, IMPORTS = 200, 100, 20


def calls() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Ours and PyTorch's of each kind."""
    functional = torch.nn.functional
    x = np.ones((1, 3, 8, 8), np.float32)
    w, b = np.ones((4, 3, 3, 3), np.float32), np.ones(4, np.float32)
    tx, tw, tb = map(torch.tensor, (x, w, b))

    def conv2d() -> Any:
        return functional.conv2d(tx, tw, tb, padding=1)

    def max_pool2d() -> Any:
        return functional.max_pool2d(tx, 2)

    def conv2d_plain() -> Any:
        return functional.conv2d(tx, tw)

    return {
        "conv_forward, no bias, no padding": (lambda: convkit.conv_forward(x, w), conv2d_plain),
        "conv_forward": (lambda: convkit.conv_forward(x, w, b, pad=1), conv2d),
        "conv": (lambda: convkit.conv(x, w, b, pad=1), conv2d),
        "max_pool_forward": (lambda: convkit.max_pool_forward(x, kernel=2), max_pool2d),
        "max_pool": (lambda: convkit.max_pool(x, kernel=2), max_pool2d),
    }


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - start) / CALLS


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, as the compiled backend is for a problem of this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", list(calls()))
def test_overhead(kind: str, benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = calls()[kind]
    with torch.no_grad():
        ours(), theirs()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
        benchmark(ours)
    ratio = statistics.median(a / b for a, b in pairs)
    benchmark.extra_info["ratio_to_torch"] = ratio
    with capsys.disabled():
        mine, other = (min(column) * 1e6 for column in zip(*pairs, strict=True))
        print(f"\n{kind}: {mine:.2f} us, PyTorch {other:.2f} us, ratio {ratio:.2f} (aim: 0.50)")


def importing(package: str) -> float:
    # With Python's compiled files, which a first import writes.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {package}"], check=True, env=env)
    return time.perf_counter() - start


def test_import(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    importing("convkit")
    pairs = [(importing("convkit"), importing("numpy")) for _ in range(IMPORTS)]
    benchmark.pedantic(importing, ("convkit",), rounds=1)
    ratio = statistics.median(a / b for a, b in pairs)
    benchmark.extra_info["ratio_to_numpy"] = ratio
    with capsys.disabled():
        print(f"\nimport: {ratio:.2f} times NumPy's (aim: 1.25)")
