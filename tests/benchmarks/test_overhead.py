"""What a call costs besides its kernel: a problem so small that little else is left.

1x3x8x8 with four 3x3 filters, and its 2x2 max pooling, against PyTorch on the same arrays, in one
interleaved run. The aim is half of PyTorch's time; nothing here asserts a time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit

pytest.importorskip("pytest_benchmark")
torch = pytest.importorskip("torch")

ROUNDS, CALLS = 200, 100


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

    return {
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
