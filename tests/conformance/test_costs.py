"""What a case may cost: by its own estimate, and by what its check has spent."""

from __future__ import annotations

from convkit.conformance.costs import LEAST_SAMPLES, Costs

KEY = ("space", "conv")


def test_a_case_is_too_costly_by_the_best_rate_of_enough_samples() -> None:
    costs = Costs(limit=1.0)
    for seconds in (4.0, *[2.0] * (LEAST_SAMPLES - 2)):
        costs.learn(KEY, 100, seconds)
        assert costs.too_costly(KEY, 10**6, rationed=False) == ""
    costs.learn(KEY, 100, 3.0)
    assert costs.too_costly(KEY, 50, rationed=False) == ""
    assert costs.too_costly(KEY, 100, rationed=False) == "about 2.0 s at this backend's speed"
    assert costs.too_costly(("space", "max_pool"), 100, rationed=False) == ""


def test_only_a_rationed_check_ends_when_its_seconds_are_spent() -> None:
    costs = Costs(budget=6.0, spent={KEY: 6.5})
    assert "the 6 s that the level gives" in costs.too_costly(KEY, 1, rationed=True)
    assert costs.too_costly(KEY, 1, rationed=False) == ""


def test_the_full_level_has_no_limits() -> None:
    assert Costs.of("full") == Costs()
    assert Costs.of("quick").limit is not None
