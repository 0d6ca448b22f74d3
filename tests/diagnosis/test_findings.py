"""Findings: what is wrong with backends and variables, and the fix that each is given."""

from __future__ import annotations

import pytest

from convkit import registry
from convkit.diagnosis.findings import (
    VARIABLES,
    backend_findings,
    machine_facts,
    variable_findings,
)


def entries(**problems: str) -> list[dict[str, str]]:
    """Facts of the built-in backends, loaded, and of one broken backend per problem."""
    names = dict.fromkeys(registry.BUILTIN_ORDER, "") | problems
    return [
        {
            "name": name,
            "distribution": f"convkit-{name}",
            "state": "broken" if problem else "loaded",
            "problem": problem,
        }
        for name, problem in names.items()
    ]


@pytest.mark.parametrize(
    ("problem", "fix"),
    [
        ("no compiled kernels", "install a C compiler"),
        ("ModuleNotFoundError: no module x", "install the missing module"),
        ("its API is too old for this convkit, which is too old for it; is too old for",
         "upgrade the one that is too old"),
        ("a name which convkit keeps", "uninstall convkit-odd"),
        ("its metadata cannot be read", "install that package again"),
        ("two packages claim it", "uninstall all packages but one"),
        ("anything else", "report it to its author, uninstall it, or set CONVKIT_DISABLE=odd"),
    ],
)  # fmt: skip
def test_a_problem_has_its_fix(problem: str, fix: str) -> None:
    (finding,) = backend_findings(entries(odd=problem))
    assert finding.what == f"backend 'odd' from convkit-odd: {problem}"
    assert finding.fix.startswith(fix)


def test_a_built_in_backend_that_is_missing_is_a_finding() -> None:
    assert backend_findings(entries()) == []
    first = registry.BUILTIN_ORDER[0]
    (finding,) = backend_findings([e for e in entries() if e["name"] != first])
    assert finding.what == f"built-in backend {first!r} is not advertised"


def test_variables_are_checked_each_by_its_own_rule() -> None:
    assert variable_findings({}) == []
    assert variable_findings({"CONVKIT_BACKEND": "naive", "OTHER": "x"}) == []
    unknown, backend, trace = variable_findings(
        {"CONVKIT_BAKCEND": "naive", "CONVKIT_BACKEND": "navie", "CONVKIT_TRACE": "profil"}
    )
    assert "did you mean 'CONVKIT_BACKEND'" in unknown.fix
    assert "did you mean 'naive'" in backend.what
    assert "did you mean 'profile'" in trace.what
    assert {"CONVKIT_VERIFY", "CONVKIT_DISABLE"} <= set(VARIABLES)


def test_the_machine_has_versions_and_a_processor() -> None:
    facts = machine_facts()
    assert facts["cpu_count"] >= 1
    assert {"convkit", "python", "numpy", "pluggy", "compiler", "cpu"} <= set(facts)
