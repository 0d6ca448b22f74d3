"""Both sides compute the same before they are timed, and every new operation has a row."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from convkit.bench import others
from convkit.bench.check import WrongAnswerError
from convkit.bench.others import CASES, Case, Row
from convkit.errors import ParameterError

EACH = pytest.mark.parametrize("case", [c.small() for c in CASES], ids=lambda c: c.name)


def test_every_operation_beyond_convolution_and_pooling_has_a_row() -> None:
    functions = {case.function for case in CASES}
    assert functions >= {"conv_transpose", "batch_norm", "group_norm"}
    assert functions >= {"max_pool_indices", "unfold", "fold"}
    modes = {case.keywords["pad_mode"] for case in CASES if case.function == "conv"}
    assert modes == set(others.PAD_NAMES)
    assert len({case.name for case in CASES}) == len(CASES)


@EACH
def test_ours_has_a_result_for_every_input(case: Case) -> None:
    data = others.data_of(case, "float64")
    calls = others.ours(case, data, "im2col_numpy")
    assert list(calls) == ["forward", "backward"][: 1 + case.gradients]
    for results in (call() for call in calls.values()):
        assert all(np.isfinite(a).all() for a in results)
    if case.gradients:
        shapes = [a.shape for a in calls["backward"]()]
        assert shapes == [a.shape for a in data.values()]


@EACH
def test_both_sides_agree_and_are_timed(case: Case) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    rows = others.run("im2col_numpy", ["float64"], 1, 1, [case])
    directions = ["forward", "backward"][: 1 + case.gradients]
    assert [(r.subject, r.direction) for r in rows] == [
        (name, direction) for name in ("im2col_numpy", "torch") for direction in directions
    ]
    assert all(r.seconds > 0 for r in rows)


def test_what_disagrees_is_not_timed() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    case = next(c for c in CASES if c.function == "unfold").small()

    def wrong(torch: Any, *tensors: Any, **keywords: Any) -> Any:
        return case.theirs(torch, *tensors, **keywords) + 1

    spoiled = Case(case.name, case.function, case.shapes, wrong, case.keywords, gradients=False)
    message = r"^unfold_3x3 \(float32\) is not timed: result 0 of forward is not PyTorch's$"
    with pytest.raises(WrongAnswerError, match=message):
        others.run("naive", ["float32"], 1, 1, [spoiled])


def test_it_says_that_pytorch_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ParameterError, match=r"^others needs PyTorch to compare with; install it"):
        others.run("naive", ["float32"], 1, 1)


def test_the_table_divides_pytorchs_time_by_ours() -> None:
    rows = [
        Row("a", "unfold", "float32", "mine", "forward", 0.002),
        Row("a", "unfold", "float32", "torch", "forward", 0.005),
    ]
    head, line = others.text(rows).splitlines()
    assert head.split() == ["case", "function", "dtype", "ms", "torch", "ms", "x", "torch"]
    assert line.split() == ["a", "unfold", "float32", "forward", "2.000", "5.000", "2.50"]
    assert rows[0].as_dict()["seconds"] == 0.002
