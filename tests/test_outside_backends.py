"""Backends made of PyTorch and SciPy, not installed and named as module:object, pass the suite."""

from __future__ import annotations

import pytest

import convkit
from convkit.conformance import run

pytestmark = pytest.mark.long

ORIGINS = {
    "torch": "outside_backends.torch_backend:TorchBackend",
    "scipy": "outside_backends.scipy_backend:ScipyBackend",
}


EVERY_DAY = ["declarations", "forward-exact", "backward-exact", "nonfinite", "pairs"]


@pytest.mark.parametrize("package", ORIGINS)
@pytest.mark.parametrize(
    "checks", [EVERY_DAY, pytest.param([], marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_passes_the_suite(package, checks):
    pytest.importorskip(package, reason=f"{package} is not installed")
    report = run(ORIGINS[package], "quick", checks=checks)
    assert report.ok, report.text(ORIGINS[package])
    assert report.counts["pass"] > 500


def test_what_scipy_lacks_is_counted_and_never_passed():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    report = run(ORIGINS["scipy"], "quick", ops=["max_pool"], checks=["forward-exact"])
    assert set(report.counts) == {"unsupported"}
    assert not report.ok


def test_selection_by_module_and_object():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    with convkit.use_backend(ORIGINS["scipy"]):
        _, cache = convkit.avg_pool_forward([[[1.0, 3.0]]], kernel=2)
        assert cache.backend == ORIGINS["scipy"]
