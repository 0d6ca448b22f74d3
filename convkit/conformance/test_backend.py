"""The suite under pytest: ``pytest --pyargs convkit.conformance --convkit-backend NAME``.

One test per check and operation. The backend runs once, in a child process, for all tests that
were collected, so that a crash fails the tests it belongs to and the others still report.
"""

from __future__ import annotations

import pytest

from convkit.conformance import CHECKS, Report, run
from convkit.errors import BackendNotFoundError, ParameterError


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for every check and operation there is."""
    if "op" in metafunc.fixturenames:
        if not metafunc.config.getoption("--convkit-backend"):
            raise pytest.UsageError("--convkit-backend NAME is needed: the backend to test")
        pairs = [(check.name, op) for check in CHECKS.values() for op in check.operations]
        metafunc.parametrize(("check", "op"), pairs, ids=[f"{c}-{o}" for c, o in pairs])


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """The backend's report on the checks and operations that were collected."""
    option = request.config.getoption
    wanted = [i.callspec.params for i in request.session.items if hasattr(i, "callspec")]
    wanted = [params for params in wanted if params.keys() == {"check", "op"}]
    try:
        return run(
            option("--convkit-backend"),
            option("--convkit-level"),
            seed=option("--convkit-seed"),
            checks=list(dict.fromkeys(params["check"] for params in wanted)),
            ops=list(dict.fromkeys(params["op"] for params in wanted)),
        )
    except (BackendNotFoundError, ParameterError) as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


def test_check(report: Report, check: str, op: str) -> None:
    """The backend passes a check in an operation."""
    # No assert: Python removes those where it is started with -O, and everything would pass.
    if report.stopped:
        pytest.fail(report.stopped, pytrace=False)
    found = [r for r in report.results if (r.check, r.op) == (check, op)]
    failed = [r for r in found if r.status == "fail"]
    if failed:
        first = failed[0]
        pytest.fail(
            f"{len(failed)} of {len(found)} cases; the first: {first.message}\n"
            f"{first.reproduce(report.origin)}",
            pytrace=False,
        )
    expected = [r for r in found if r.status == "expected"]
    if expected:
        pytest.xfail(expected[0].message)
    if not any(r.status == "pass" for r in found):
        reasons = {f"{r.status}: {r.message}" for r in found}
        pytest.skip("; ".join(sorted(reasons)) or "no case at this level")


def test_something_was_right(report: Report) -> None:
    """A backend that supports nothing does not pass."""
    if not report.proved:
        pytest.fail(report.verdict(), pytrace=False)
