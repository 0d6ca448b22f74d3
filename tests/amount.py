"""How much of the tests runs: ``--tests fast``, ``usual`` or ``all``; conftest.py has these hooks.

Marks say what is left out, so that a test has no other list to be in:

* ``slow`` - runs with ``all`` alone.
* ``long`` - does not run with ``fast``.
* ``sampled(fast=n, usual=m)`` - of a function with many cases one in n or m runs, always the same.

Whatever is left out is counted, and the last line names the target that runs it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import pytest

AMOUNTS = ("fast", "usual", "all")
LEFT = "tests_left"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tests", choices=AMOUNTS, default="all", help="how much to run (default: %(default)s)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Share the cores out among workers; tests about threads set their number themselves."""
    workers = getattr(config.option, "numprocesses", None)
    if workers:
        threads = str(max(1, (os.cpu_count() or 1) // int(workers)))
        for name in ("CONVKIT_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, threads)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    amount = config.getoption("--tests")
    left = list(left_out(items, amount)) if amount != "all" else []
    if left:
        gone = set(left)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left)
    config.stash[COUNT] = len(left)


COUNT = pytest.StashKey[int]()


def left_out(items: Iterable[pytest.Item], amount: str) -> Iterable[pytest.Item]:
    """Yield what does not run."""
    cases: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow") or (
            amount == "fast" and item.get_closest_marker("long")
        ):
            yield item
        elif sampled := item.get_closest_marker("sampled"):
            cases[item.nodeid.partition("[")[0], sampled.kwargs.get(amount, 1)].append(item)
    for (_, share), of_one in cases.items():
        mixed = sorted(of_one, key=lambda item: crc32(item.nodeid.encode()))
        yield from mixed[-(-len(mixed) // share) :]


# --- the last line, which the controller of pytest-xdist's workers prints for them ----------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[LEFT] = session.config.stash.get(COUNT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    config = node.config
    found = getattr(node, "workeroutput", {}).get(LEFT, 0)
    config.stash[COUNT] = max(found, config.stash.get(COUNT, 0))  # each worker collects all tests


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(COUNT, 0)
    if left:
        terminalreporter.write_line(f"{left} tests were left to `make test-all`")
