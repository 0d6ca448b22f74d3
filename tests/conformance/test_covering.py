"""Covering arrays: every combination that can be built, in few points, the same for a seed."""

from __future__ import annotations

import random

from convkit.conformance.covering import Cover, Space, draw, points

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
