"""Rows of backends: what each supports is asked of it, and what it says is made plain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import registry
from convkit.operations import OPERATIONS, Operation
from convkit.selection.overview import _supports_small, backend_rows, load_quietly


class Mine(Im2colNumpy):
    """A backend without average pooling, with facts that JSON cannot represent."""

    name = "mine"

    def supports(self, spec):
        return "no averages" if getattr(spec, "kind", "") == "avg" else None

    def info(self):
        return {
            "dtypes": (np.dtype("float32"),),
            "threads": 3,
            "set": frozenset({1}),
            "of": {2: "a"},
        }


class Fails(Im2colNumpy):
    """A backend whose info() raises."""

    name = "fails"

    def info(self):
        raise OSError("no card")


@pytest.fixture
def row_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], dict]:
    """Return a function that gives the row of a backend, as if it were the only one."""

    def row(backend: object) -> dict:
        record = registry.record_of_object(backend)
        monkeypatch.setattr(registry, "backends", lambda: [record])
        (found,) = backend_rows()
        return found

    return row


def test_a_row_says_what_a_backend_supports_and_tells_of_itself(row_of: Callable) -> None:
    row = row_of(Mine())
    assert (row["state"], row["threads"], row["dtypes"]) == ("loaded", 3, ["float32"])
    assert {"conv", "max_pool"} <= set(row["operations"])
    assert "avg_pool" not in row["operations"]
    assert row["info"]["set"] == "frozenset({1})"
    assert row["info"]["of"] == {"2": "a"}


def test_a_failing_info_is_told_in_the_row(row_of: Callable) -> None:
    assert row_of(Fails())["info"] == {"error": "info() raised OSError: no card"}


def test_what_does_not_load_is_left_out() -> None:
    assert load_quietly(["naive", "nobody", "im2col_numpy"]) == ["naive", "im2col_numpy"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_of_the_table_is_tried(operation: Operation) -> None:
    """An operation that the command cannot ask about would end it for every backend."""
    naive = registry.load("naive")
    assert _supports_small(naive, operation)
