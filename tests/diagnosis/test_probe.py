"""One backend loaded in a process of its own, and the outcome written where it cannot be lost."""

from __future__ import annotations

import json

import pytest

PROBE = """
import subprocess, sys
index = [r.name for r in convkit.backends()].index({name!r})
done = subprocess.run([sys.executable, "-m", "convkit.diagnosis.probe", str(index), "facts"])
result = done.returncode, open("facts").read() if done.returncode == 0 else ""
"""


@pytest.mark.parametrize(
    ("source", "state", "problem"),
    [
        (None, "loaded", ""),
        ("print('noise'); raise RuntimeError('no licence')", "broken", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "broken", "SystemExit: 3"),
    ],
)
def test_it_reports_how_loading_ended(site, source, state, problem):
    site.install("probed", source)
    status, facts = site.value(PROBE.format(name="probed"))
    assert status == 0
    found = json.loads(facts)
    assert (found["state"], found["problem"]) == (state, problem)
    assert ("Traceback" in found["traceback"]) == (state == "broken")


def test_a_crash_ends_its_process_alone(site):
    site.install("probed", "import os; os._exit(9)")
    assert site.value(PROBE.format(name="probed")) == [9, ""]


def test_a_blocked_backend_is_not_loaded(site):
    site.install("probed", "open('imported', 'w')")
    _, facts = site.value(PROBE.format(name="probed"), CONVKIT_DISABLE="probed")
    assert json.loads(facts)["state"] == "blocked"
    assert not (site.folder / "imported").exists()
