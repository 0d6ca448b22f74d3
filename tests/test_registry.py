"""The registry keeps what is broken apart: every plug-in here is really installed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NAMED = """
from convkit.contract import hookimpl
from convkit_im2col_numpy import Im2colNumpy

class Named(Im2colNumpy):
    name = "named"

backend = Named()

class Plugin:
    @hookimpl
    def convkit_backend(self):
        return backend

plugin = Plugin()

class Outer:
    inner = backend

@hookimpl
def convkit_backend():
    return backend
"""


@pytest.mark.parametrize("path", ["backend", "Named", "plugin", "Outer.inner", ""])
def test_an_object_of_a_module_is_selected_without_an_entry_point(site, path):
    (site.folder / "somewhere.py").write_text(NAMED)
    chosen = f"somewhere:{path}"
    assert site.value("result = who(), pool()", CONVKIT_BACKEND=chosen) == [chosen, chosen]
    code = f"result = who(backend={chosen!r}), states()[{chosen!r}], who()"
    assert site.value(code) == [chosen, "loaded", "cython"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("nowhere:x", "ModuleNotFoundError: No module named 'nowhere'"),
        ("somewhere:x", "AttributeError: module 'somewhere' has no attribute 'x'"),
        ("somewhere:hookimpl", "its name (=None) must be a non-empty str"),
    ],
)
def test_an_object_that_is_no_backend_is_refused_with_its_reason(site, chosen, said):
    (site.folder / "somewhere.py").write_text(NAMED)
    kind, text = site.value("result = error(who)", CONVKIT_BACKEND=chosen)
    assert kind == "BackendLoadError"
    assert text.startswith(f"backend {chosen!r} cannot be loaded: {said}")


def test_an_entry_point_may_be_an_object_with_the_hook(site):
    (site.folder / "somewhere.py").write_text(NAMED)
    site.install("named", "", entries="[convkit.backends]\nnamed = somewhere:plugin\n")
    assert site.value("result = who(backend='named')") == "named"


CALL_BOTH = """
result = [error(lambda: who(backend='bad')), who(backend='good'), who(backend='bad,good'), states()]
"""


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ({"source": "raise RuntimeError('no licence')"}, "RuntimeError: no licence"),
        ({"source": "import convkit_bad_kernels"}, "No module named 'convkit_bad_kernels'"),
        ({"source": "import sys; sys.exit(3)"}, "SystemExit: 3"),
        ({"source": "x = ("}, "SyntaxError"),
        ({"source": "pass"}, "has no convkit_backend()"),
        ({"source": "def convkit_backend(): pass"}, "must be marked with"),
        ({"body": "    pool_backward = None"}, "backend 'bad' lacks pool_backward"),
        ({"body": "    def conv_forward(self, spec, x): pass"}, "must take 4 positional arguments"),
        ({"body": "    def conv_infer(self): pass"}, "must take 4 positional arguments"),
        (
            {"body": "    def conv_relu_pool_forward(self, *a): pass"},
            "so it must have",
        ),
        ({"body": "    error_factor = 99"}, "error_factor (=99) must be a number from 1 to 32"),
        ({"version": "0"}, "backend 'bad' (convkit-bad 1.2) is too old for convkit 0.1.0"),
        ({"version": "99"}, "convkit 0.1.0 is too old for backend 'bad' (convkit-bad 1.2)"),
        ({"version": "'1'"}, "must state the api_version it was written for as an int"),
        ({"own_name": "worse"}, "its name (='worse') must equal its entry point's name 'bad'"),
    ],
)
def test_a_broken_plugin_is_quarantined_and_the_rest_go_on(site, plugin, said):
    site.install("bad", **plugin)
    site.install("good")
    (kind, text), good, fallback, states = site.value(CALL_BOTH)
    assert kind == "BackendLoadError"
    assert said in text
    assert good == fallback == "good"
    assert states["bad"] == "broken"
    assert states["good"] == "loaded"


def test_its_traceback_is_kept_and_it_is_not_tried_again_until_reload(site):
    module = site.install("bad", "open('tries', 'a').write('x'); 1 / 0")
    code = f"""
for _ in range(3):
    error(lambda: registry.load('bad'))
first = open('tries').read(), registry.find('bad').traceback
open('{module}.py', 'w').write(open('convkit_good.py').read().replace("'good'", "'bad'"))
still = error(lambda: registry.load('bad')) is not None
convkit.reload()
result = [*first, still, who(backend='bad')]
"""
    site.install("good")
    tries, trace, still, mended = site.value(code)
    assert tries == "x"
    assert "ZeroDivisionError" in trace
    assert f"{module}.py" in trace
    assert still
    assert mended == "bad"


def test_a_slow_or_broken_plugin_is_imported_once_by_many_threads(site):
    site.install("bad", "import time; time.sleep(0.2); open('tries', 'a').write('b'); 1 / 0")
    body = "import time; time.sleep(0.2); open('tries', 'a').write('g')\n"
    module = site.install("good")
    path = site.folder / f"{module}.py"
    path.write_text(body + path.read_text())
    code = """
from concurrent.futures import ThreadPoolExecutor
def one(name):
    failed = error(lambda: registry.load(name))
    return failed and failed[0]
with ThreadPoolExecutor(8) as pool:
    result = list(pool.map(one, ["bad", "good"] * 8))
result = [result, sorted(open("tries").read())]
"""
    assert site.value(code) == [["BackendLoadError", None] * 8, ["b", "g"]]


def test_a_repeated_name_belongs_to_nobody(site):
    site.install("twin", distribution="one-twin")
    site.install("twin", distribution="two-twin")
    kind, text = site.value("result = error(lambda: who(backend='twin'))")
    assert kind == "BackendLoadError"
    assert "claimed by 2 distributions: one-twin 1.2, two-twin 1.2" in text
    listed = site.value("result = [r.state for r in convkit.backends() if r.name == 'twin']")
    assert listed == ["broken", "broken"]


@pytest.mark.parametrize("other", ["my-bk", "my_bk", "MY--BK"])
def test_spellings_of_one_distribution_are_one_claimant(site, other):
    """An old .dist-info that an installer left behind may spell the name otherwise (PEP 503)."""
    site.install("twin", distribution="My.Bk")
    site.install("twin", distribution=other)
    assert site.value("result = who(backend='twin')") == "twin"
    listed = site.value("result = [r.state for r in convkit.backends() if r.name == 'twin']")
    assert len(listed) == 1


@pytest.mark.parametrize("name", ["naive", "auto"])
def test_a_built_in_name_cannot_be_taken(site, name):
    site.install(name, distribution="evil", own_name=name)
    rows = site.value("result = [(r.name, r.state, r.problem) for r in convkit.backends()]")
    assert [name, "broken"] in [row[:2] for row in rows]
    assert any("evil 1.2 claims the name" in row[2] for row in rows)
    assert site.value("result = who(backend='naive'), who()") == ["naive", "cython"]


def test_metadata_that_cannot_be_read_disturbs_nobody(site):
    site.install("bad", entries="[convkit.backends]\nthis line is no entry point\n")
    site.install("good")
    assert site.value("result = who(backend='good')") == "good"
    rows = site.value("result = [(r.name, r.state, r.problem) for r in convkit.backends()]")
    (reported,) = [row for row in rows if row[0].startswith("(")]
    assert reported[:2] == ["(convkit_bad-1.2.dist-info)", "broken"]
    assert reported[2].startswith("its metadata cannot be read: ")


def test_disabled_plugins_are_blocked(site):
    site.install("good")
    code = "result = [error(lambda: who(backend='Good')), states()['good'], who()]"
    (kind, text), state, other = site.value(code, CONVKIT_DISABLE="GOOD, cython")
    assert (kind, state, other) == ("BackendLoadError", "blocked", "im2col_numpy")
    assert "blocked by CONVKIT_DISABLE" in text


def test_a_named_backend_is_the_only_one_that_is_imported(site):
    site.install("good")
    site.install("other", "open('imported', 'w')")
    code = "who(backend='good'); import os; result = os.path.exists('imported')"
    assert site.value(code) is False


def test_installing_a_package_changes_no_result(site):
    site.install("aaa")
    assert site.value("result = who(), pool()") == ["cython", "cython"]


def test_an_unsupported_hook_argument_is_said(site):
    source = "from convkit.contract import hookimpl\n@hookimpl\ndef convkit_backend(nonsense): pass"
    site.install("bad", source)
    _, text = site.value("result = error(lambda: who(backend='bad'))")
    assert "PluginValidationError" in text


FORK_WHILE_HELD = """
import os, signal, sys, threading, time
import convkit, numpy as np
from convkit import registry, state
from convkit.calls import tracing

held = {"state": state.lock, "tracing": tracing._lock, "record": registry.find("naive").lock}
lock, taken = held[sys.argv[1]], threading.Event()

def hold():
    with lock:
        taken.set()
        time.sleep(0.3)

thread = threading.Thread(target=hold)
thread.start()
taken.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)  # a child that hangs is ended by it
    with convkit.trace("off"):
        convkit.max_pool(np.zeros((1, 1, 4, 4)), kernel=2, backend="naive")
    os._exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
thread.join()
with lock:
    print(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("lock", ["state", "tracing", "record"])
def test_a_child_forked_while_another_thread_holds_a_lock_works(lock: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK_WHILE_HELD, lock],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
