"""The model of the space: covering arrays, the fast reference, and what a level covers."""

from __future__ import annotations

import random

import numpy as np
import pytest

from convkit.conformance import CHECKS, data, problems
from convkit.conformance.cases import Case, case
from convkit.conformance.covering import Cover, Space, draw, points
from convkit.conformance.entries import ENTRIES
from convkit.conformance.space import block, residue, window

SMALL = Space(
    "small",
    {"a": (1, 2, 3), "b": ("x", "y"), "c": (1, 2, 3, 4)},
    {"odd": ("c", lambda c: c % 2)},
    (("a", "b"), ("a", "odd"), ("b", "c"), ("a", "b", "odd")),
    lambda point: None if point["a"] == 3 and point["b"] == "y" else dict(point),
    lambda made: int(made["a"]) * int(made["c"]),
)


def test_points_cover_every_combination_that_can_be_built() -> None:
    cover = Cover(SMALL)
    seen = {(p["a"], p["b"], p["c"] % 2) for p, _ in points(cover, 100, "0")}
    assert seen == {(a, b, odd) for a in (1, 2, 3) for b in "xy" for odd in (0, 1)} - {
        (3, "y", 0),
        (3, "y", 1),
    }
    assert not any(cover.missing.values())
    assert cover.unreachable["a", "b"] == {(3, "y")}
    assert cover.unreachable["b", "c"] == set()


def test_what_costs_too_much_is_out_of_reach_until_more_may_be_spent() -> None:
    cover = Cover(SMALL)
    assert all(made["a"] * made["c"] <= 4 for _, made in points(cover, 4, "0"))
    assert (3, "x", 0) in cover.unreachable["a", "b", "odd"]
    cover.retry()
    larger = list(points(cover, 100, "1"))
    assert any(p["a"] * p["c"] > 4 for p, _ in larger)
    assert cover.unreachable["a", "b", "odd"] == {(3, "y", 0), (3, "y", 1)}


def test_few_points_suffice() -> None:
    assert len(list(points(Cover(SMALL), 100, "0"))) <= 16


def test_the_same_seed_gives_the_same_points_and_another_one_others() -> None:
    one, again, other = (list(points(Cover(SMALL), 100, seed)) for seed in "aab")
    assert one == again != other
    rng = random.Random(0)
    assert draw(SMALL, rng, {"a": 3})["a"] == 3


@pytest.mark.parametrize(
    ("size", "name"), [(1, "1"), (2, "2"), (3, "3-4"), (8, "5-8"), (9, "9-16"), (65, ">64")]
)
def test_a_block_is_named_by_its_edges(size: int, name: str) -> None:
    assert block(size) == name


def test_residues_are_of_blocks_of_eight() -> None:
    assert residue(17) == "1 mod 8"
    assert residue(7) == "within 8"


def test_a_geometry_is_read_from_its_text() -> None:
    found = window("5x3/2,1 d1,2 same")
    assert (found.kernel, found.stride, found.dilation) == ((5, 3), (2, 1), (1, 2))
    assert found.sizes == (5, 5)
    assert found.padding() == ((2, 2), (2, 2))
    assert found.pixels((3, 4), 1) == (6, 4)
    assert window("3x3 very wide").pixels((1, 1), 0) is None


SUMS = [op for op, entry in ENTRIES.items() if not entry.curved]
"""Operations whose results of integers are sums, exact in any order; others have no fast way."""


@pytest.mark.long
@pytest.mark.parametrize("op", SUMS)
def test_the_fast_reference_is_the_definition(op: str) -> None:
    """On problems of every popular geometry, in both dtypes."""
    seen: set[str] = set()
    for _, point, found in problems.chosen(op, "quick", 0):
        name = str(point.get("geometry", point.get("convolution", point.get("kernel"))))
        if name in seen or found.work > 100_000:
            continue
        seen.add(name)
        plain = Case(op, found.geometry, found.dtype, "exact", found.seed)
        fast, slow = ENTRIES[op].fast(plain, data.inputs(plain)), data.expected(plain)
        assert fast.keys() == slow.keys()
        for result, want in slow.items():
            close = np.allclose(fast[result], want.ref, rtol=1e-14, atol=0)
            exact = close if ENTRIES[op].divides else np.array_equal(fast[result], want.ref)
            assert exact, (str(plain), result)
    assert len(seen) > 12


@pytest.mark.parametrize("op", SUMS)
def test_data_are_integers_whose_sums_are_exact(op: str) -> None:
    """With absolute values nothing exceeds 2**24 or 2**53, the largest problems included."""
    cases = [found for _, _, found in problems.chosen(op, "quick", 0)][::40]
    cases += [c for c in CHECKS["large"].make(op, "quick", 0) if c.work < 10**7]
    for found in cases:
        given = data.inputs.__wrapped__(found)
        sums = ENTRIES[op].fast(found, given.map(np.abs))
        limit = 2**24 if found.dtype == "float32" else 2**53
        assert all(np.abs(s).max(initial=0) <= limit for s in sums.values()), str(found)
        assert all((a == np.round(a)).all() for a in given.all if a is not None)


@pytest.mark.long
@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize("op", ENTRIES)
def test_a_level_begins_with_the_problems_of_the_level_below(op: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """And asks twice as many, or all that there are at its cost."""
    quick = {case for _, _, case in problems.chosen(op, "quick", 0)}
    default = {case for _, _, case in problems.chosen(op, "default", 0)}
    assert quick <= default
    if len(default) <= 2 * len(quick):
        monkeypatch.setitem(problems.SPENT, "default", 2 * problems.SPENT["default"])
        with_more_to_spend = problems.chosen.__wrapped__(op, "default", 0)
        assert len(default) == len(with_more_to_spend)


def test_a_popular_geometry_wrong_beyond_a_block_in_one_gradient_is_found() -> None:
    from convkit_im2col_numpy import Im2colNumpy

    from convkit.conformance import run

    class Wrong(Im2colNumpy):
        name = "wrong_beyond_sixteen"

        def conv_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
            dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
            special = spec.kernel == (5, 5) and spec.stride == (3, 3) and spec.w_shape[1] > 16
            if dw is not None and special:
                dw[:, 16:] = 0
            return dx, dw, db

    report = run(Wrong(), "quick", checks=["space"], ops=["conv"], maxfail=1)
    assert report.failed_checks() == ["space"]
    assert "dw" in report.failures[0].message


def test_the_case_of_a_failure_reads_back() -> None:
    from convkit.conformance.cases import parse

    found = problems.chosen("conv", "quick", 0)[0][2]
    assert parse(str(found)) == found
    assert case("conv", "x", x=(1, 1, 2, 2), w=(1, 1, 1, 1)).work == 4
