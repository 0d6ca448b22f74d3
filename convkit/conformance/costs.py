"""What cases cost, and what a level lets them cost.

A slow backend's costly cases are skipped, and a rationed check ends for an operation when its
seconds are spent. The processes of one run share what they spent, so that several of them ask no
more and no less than one would.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field

LIMITS: dict[str, float] = {"quick": 1.0, "default": 4.0}
"""Seconds that one case may take, by what earlier ones took."""
BUDGETS: dict[str, float] = {"quick": 6.0, "default": 60.0}
"""Seconds of a rationed check in one operation."""

LEAST_SAMPLES = 4
Key = tuple[str, str]
"""A check and an operation."""


@dataclass
class Costs:
    """The limits, None for none, and what was measured so far for each check and operation."""

    limit: float | None = None
    budget: float | None = None
    rates: dict[Key, tuple[float, int]] = field(default_factory=dict)
    """The best seconds per term, and the number of samples."""
    spent: MutableMapping[Key, float] = field(default_factory=dict)

    @classmethod
    def of(cls, level: str) -> Costs:
        """Return the limits of a level, with nothing spent."""
        return cls(LIMITS.get(level), BUDGETS.get(level))

    def learn(self, key: Key, work: int, seconds: float) -> None:
        """Note what a case that passed took."""
        rate, samples = self.rates.get(key, (seconds / work, 0))
        self.rates[key] = (min(rate, seconds / work), samples + 1)

    def too_costly(self, key: Key, work: int, rationed: bool) -> str:
        """Say why a case is not to be run; empty where it is."""
        if rationed and self.budget is not None and self.spent.get(key, 0.0) > self.budget:
            return f"the {self.budget:g} s that the level gives this check and operation are spent"
        rate, samples = self.rates.get(key, (0.0, 0))
        if self.limit is None or samples < LEAST_SAMPLES:
            return ""
        estimate = rate * work  # the best rate so far: a busy machine makes no backend slow
        return f"about {estimate:.1f} s at this backend's speed" if estimate > self.limit else ""
