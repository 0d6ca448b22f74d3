"""``python -m conformance_mutants.fresh`` (with ``tests`` on PYTHONPATH): list the fresh mutants.

By kind, with the multiply-adds of the problem that shows each.
"""

from __future__ import annotations

from collections import Counter

from conformance_mutants.fresh.witness import WITNESSES
from conformance_mutants.registry import SETS


def main() -> None:
    """List the mutants."""
    mutants = SETS["fresh"]
    for mutant in mutants.values():
        cost = WITNESSES[mutant.name].cost
        print(f"{mutant.kind:24} {'-' if cost is None else f'{cost:,}':>12} {mutant.name}")
    for kind, count in Counter(m.kind for m in mutants.values()).items():
        print(f"{count:4} {kind}")
    print(f"{len(mutants):4} in all")


if __name__ == "__main__":
    main()
