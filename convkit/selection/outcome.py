"""The outcome of a selection: which backend won, who chose it, and why each other one lost."""

from __future__ import annotations

from typing import Any, NamedTuple

from convkit.registry import Record


class Selection(NamedTuple):
    """Which backend computes a problem, who chose it, and why each other one does not."""

    problem: str
    operation: str
    winner: str | None
    source: str
    request: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...] = ()
    record: Record | None = None

    def __str__(self) -> str:
        head = f"{self.problem}: {self.winner or 'no backend'}"
        lines = [f"{head} (chosen by {self.source}: {','.join(self.request)})"]
        return "\n".join(lines + [f"  not {name}: {reason}" for name, reason in self.rejected])

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        facts = self._asdict()
        del facts["record"]
        return facts | {"request": list(self.request), "rejected": dict(self.rejected)}

    def __reduce__(self) -> tuple[Any, ...]:
        return Selection, (*self[:-1], None)  # a record belongs to this process
