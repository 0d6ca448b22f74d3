"""The doctor finds what is really wrong, each plug-in in a process of its own."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.long

RUN = "import sys; from convkit.cli import run; sys.exit(run(['doctor', '--json']))"


def examine(site, **variables):
    done = site.run(RUN, check=False, **variables)
    report = json.loads(done.stdout)
    return done.returncode, report, {b["name"]: b for b in report["backends"]}


def test_nothing_is_wrong(site):
    site.install("good")
    status, report, backends = examine(site)
    assert (status, report["findings"]) == (0, [])
    assert backends["good"]["state"] == "loaded"
    machine = report["machine"]
    assert machine["compiler"]
    assert machine["cpu_count"] >= 1
    text = site.run(RUN.replace(", '--json'", "")).stdout
    assert "nothing is wrong" in text


def test_the_facts_of_a_backend_are_printed_under_it(site):
    pytest.importorskip("convkit_cython._kernels")
    text = site.run(RUN.replace(", '--json'", ""), CONVKIT_BUFFER_POOL="3000000").stdout
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  cython ("))
    assert "    dtypes: float32 float64" in lines[start + 1 : start + 5]
    assert "    buffer_pool: limit 3000000, kept 0, used 0" in lines[start + 1 : start + 5]


def test_plugins_that_crash_exit_or_raise_are_reported_and_the_rest_examined(site):
    site.install("crash", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    site.install("quit", "import os; print('bye'); os._exit(0)")
    site.install("leave", "import sys; sys.exit(4)")
    site.install("fail", "raise RuntimeError('no licence')")
    site.install("good")
    status, report, backends = examine(site)
    assert status == 1
    assert "crashed with SIGSEGV" in backends["crash"]["problem"]
    assert "ended the process with exit status 0" in backends["quit"]["problem"]
    assert backends["leave"]["problem"] == "SystemExit: 4"
    assert "no licence" in backends["fail"]["traceback"]
    assert backends["good"]["state"] == "loaded"
    assert len(report["findings"]) == 4
    assert all(f["fix"] for f in report["findings"])


@pytest.mark.parametrize(
    ("plugin", "fix"),
    [
        ({"source": "import convkit_bad_kernels"}, "install the missing module, or uninstall"),
        ({"source": "raise ImportError('without its compiled kernels')"}, "install a C compiler"),
        ({"version": "0"}, "upgrade the one that is too old"),
        ({"version": "99"}, "upgrade the one that is too old"),
        ({"body": "    pool_backward = None"}, "report it to its author, uninstall it, or set "
         "CONVKIT_DISABLE=bad"),
    ],
)  # fmt: skip
def test_each_finding_has_its_fix(site, plugin, fix):
    site.install("bad", **plugin)
    status, report, backends = examine(site)
    (finding,) = report["findings"]
    assert status == 1
    assert finding["what"] == f"backend 'bad' from convkit-bad 1.2: {backends['bad']['problem']}"
    assert finding["fix"].startswith(fix)


def test_names_that_several_packages_claim_and_unreadable_metadata_are_found(site):
    site.install("twin", distribution="one-twin")
    site.install("twin", distribution="two-twin")
    site.install("naive", distribution="evil")
    site.install("odd", entries="[convkit.backends]\nno entry point\n")
    status, report, _ = examine(site)
    assert status == 1
    assert len(report["findings"]) == 4
    fixes = {f["what"].split(":")[0]: f["fix"] for f in report["findings"]}
    assert fixes["backend 'twin' from one-twin 1.2"].startswith("uninstall all packages but one")
    assert fixes["backend 'naive' from evil 1.2"].startswith("uninstall evil 1.2, or have")
    assert "install that package again, or uninstall it" in fixes.values()


def test_a_traceback_is_printed_under_its_backend(site):
    site.install("fail", "raise RuntimeError('no licence')")
    done = site.run(RUN.replace(", '--json'", ""), check=False, CONVKIT_TRACE="profile")
    lines = done.stdout.splitlines()
    start = lines.index("  fail (convkit-fail 1.2): broken")
    assert lines[start + 1] == "    | Traceback (most recent call last):"
    assert "    | RuntimeError: no licence" in lines
    assert "  CONVKIT_TRACE=profile" in lines
    assert "    fix: report it to its author, uninstall it, or set CONVKIT_DISABLE=fail" in lines


def test_variables_are_checked(site):
    status, report, _ = examine(
        site,
        CONVKIT_BAKCEND="naive",
        CONVKIT_BACKEND="navie",
        CONVKIT_TRACE="profil",
        CONVKIT_VERIFY="naive,cython",
        CONVKIT_DISABLE="nobody",
    )
    assert status == 1
    text = json.dumps(report["findings"])
    for words in (
        "CONVKIT_BAKCEND is no variable of convkit",
        "did you mean 'CONVKIT_BACKEND'",
        "did you mean 'naive'",
        "did you mean 'profile'",
        "must name one backend",
        "CONVKIT_DISABLE names 'nobody'",
    ):
        assert words in text
    assert len(report["findings"]) == 5
    assert report["environment"]["CONVKIT_BACKEND"] == "navie"
