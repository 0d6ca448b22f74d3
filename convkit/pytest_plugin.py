"""The pytest options of the conformance suite; pytest loads this in every session.

So it holds options alone and imports nothing but what importing convkit imports anyway. The tests
are in `convkit.conformance.test_backend` and run only where pytest is pointed at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --convkit-backend, --convkit-level and --convkit-seed."""
    group = parser.getgroup("convkit", "convkit conformance (--pyargs convkit.conformance)")
    group.addoption(
        "--convkit-backend", metavar="NAME", help="the backend to test: a name or module:object"
    )
    group.addoption(
        "--convkit-level", choices=("quick", "default", "full"), default="default",
        help="how much to test (default: %(default)s)",
    )  # fmt: skip
    group.addoption(
        "--convkit-seed", type=int, default=0, help="seed of random data (default: %(default)s)"
    )
