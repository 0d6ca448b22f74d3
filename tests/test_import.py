"""Importing convkit fails because of nothing, loads no backend, and is cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

HOSTILE = {
    "CONVKIT_BACKEND": "nowhere;;conv=",
    "CONVKIT_DISABLE": "nobody",
    "CONVKIT_TRACE": "nonsense",
    "CONVKIT_VERIFY": "nowhere",
    "CONVKIT_ISA": "nonsense",
    "CONVKIT_NUM_THREADS": "nonsense",
}


@pytest.mark.parametrize("name", [*HOSTILE, None])
def test_no_variable_breaks_the_import(site, name):
    variables = HOSTILE if name is None else {name: HOSTILE[name]}
    site.run("import convkit; convkit.backends(); convkit.use_backend('naive')", **variables)


def test_no_plugin_breaks_the_import_or_is_imported_by_it(site):
    site.install("bad", "open('imported', 'w'); import os; os._exit(9)")
    site.install("worse", entries="nonsense [[[")
    site.run("import convkit, os; assert not os.path.exists('imported')")
    site.run("import convkit, os; convkit.backends(); assert not os.path.exists('imported')")


def test_what_few_programs_need_is_not_imported():
    code = "import numpy, sys; a = set(sys.modules); import convkit; print(set(sys.modules) - a)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for module in ("pluggy", "logging", "json", "importlib.metadata", "difflib", "inspect"):
        assert f"'{module}'" not in done.stdout
    assert "convkit_" not in done.stdout


def test_public_names_are_all_there():
    import convkit

    for name in convkit.__all__:
        assert getattr(convkit, name) is not None
    assert set(convkit.__all__) <= set(dir(convkit))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = convkit.nonsense


def test_packages_and_the_names_of_training_are_there_without_an_import_of_their_own():
    code = (
        "import sys, convkit; assert not any(m.startswith('convkit.models') for m in sys.modules); "
        "convkit.layers.softmax_loss; convkit.models.ResNet; convkit.training.load_digits; "
        "from convkit.training import Solver, get_CIFAR10_data, load_data; "
        "assert 'sklearn' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    import convkit.training

    for name in convkit.training.__all__:
        if not name.startswith("ConvNet"):  # for which scikit-learn is needed
            assert getattr(convkit.training, name) is not None
    assert set(convkit.training.__all__) <= set(dir(convkit.training))
    with pytest.raises(AttributeError, match=r"'convkit\.training' has no attribute 'nonsense'"):
        _ = convkit.training.nonsense
