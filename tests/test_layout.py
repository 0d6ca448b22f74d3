"""A module's tests are found from its path: convkit/calls/cache.py has tests/calls/test_cache.py.

An ``__init__`` and a ``__main__`` need none: they document a package, name what is public, or start
a program.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from source_tree import PACKAGE, ROOT, modules

TESTS = ROOT / "tests"

#: Modules that are tested in another file, and why.
ELSEWHERE = {
    "exit_status.py": ("test_cli.py", "three constants, tested where commands end with them"),
    "watch.py": ("test_deprecated.py", "a former name; the three have one test"),
    "handover.py": ("test_deprecated.py", "a former name; the three have one test"),
    "verify.py": ("test_deprecated.py", "a former name; the three have one test"),
    "functions/calling.py": ("test_api.py", "the API, with what its functions share"),
    "functions/conv.py": ("test_api.py", "the API, with what its functions share"),
    "functions/pools.py": ("test_api.py", "the API, with what its functions share"),
    "functions/bn_param.py": ("functions/test_norms.py", "what it says, by who reads it"),
    "calls/composing.py": ("calls/test_fallback.py", "the checks that every composition makes"),
    "calls/conv_bn.py": ("functions/test_conv_bn.py", "one composition, with its operation"),
    "layers/arrays.py": ("layers/test_dropout.py", "names of types, no code"),
    "layers/mode.py": ("layers/test_dropout.py", "one check, tested through its callers"),
    "training/data/download.py": ("training/data/test_cifar10.py", "with the data that use it"),
    "training/data/cifar10_files.py": ("training/data/test_cifar10.py", "the files are its"),
    "conformance/entry.py": ("conformance/test_entries.py", "what an entry holds, for each"),
    "conformance/large.py": ("conformance_mutants/test_planted.py", "index width needs a mutant"),
    "conformance/board.py": ("conformance/test_pool.py", "what the processes of a pool share"),
    "conformance/statistics.py": ("conformance/test_norms.py", "the checks of norms"),
    "conformance/worker.py": ("conformance/test_child.py", "a script of one call"),
    "conformance/test_backend.py": ("conformance/test_runner.py", "is itself what pytest runs"),
    **{
        f"conformance/operations/{name}.py": ("conformance/test_entries.py", "each is an entry")
        for name in (
            "conv_bn_reference",
            "conv_bn_relu",
            "conv",
            "conv_transpose",
            "max_pool",
            "avg_pool",
            "conv_relu_pool",
            "pools",
        )
    },
    **{
        f"conformance/operations/{name}.py": ("conformance/test_norms.py", "one family")
        for name in ("norms", "batch_norm", "group_norm", "norm_reference", "norm_space")
    },
    **{
        f"conformance/operations/{name}.py": ("conformance/test_catalogue.py", "lists of problems")
        for name in ("conv_problems", "pool_problems")
    },
    **{
        f"conformance/operations/{name}.py": ("conformance/test_problems.py", "each is a space")
        for name in ("conv_space", "pool_space", "fused_space", "conv_bn_space")
    },
}

#: Files of tests that are about something other than one module.
OTHERS = {
    "test_import.py": "convkit/__init__.py: what importing it must not do, and the public names",
    "test_deprecated.py": "modules under their former names",
    "test_import_rule.py": "which module may import which",
    "test_layout.py": "this file",
    "test_metadata.py": "pyproject.toml: dependencies and extras",
    "test_semantics.py": "each rule of the semantics, for every bundled backend",
    "test_windows_planted.py": "planted bugs in unfold and fold, which their tests find",
    "test_conv_transpose.py": "one operation as a whole: definition, adjoint, PyTorch",
    "test_optimised_python.py": "python -OO, which keeps no docstrings and no asserts",
    "test_course.py": "the course's assignment, cell by cell",
    "test_docs.py": "links, examples and commands in the documents",
    "test_examples.py": "the programs in examples/",
    "test_strangers.py": "the backends in examples/strangers/",
    "test_kernel_mutants.py": "tools/kernel_*.py: mutants of the C sources",
    "test_outside_onnx.py": "compared with ONNX's own reference implementation",
    "test_outside_scipy.py": "compared with SciPy",
    "test_outside_torch.py": "compared with PyTorch",
    "test_outside_torch_samples.py": "compared with PyTorch, on its own samples",
    "test_outside_backends.py": "backends made of PyTorch and SciPy, put through the suite",
    "conformance/test_declining.py": "declining is never failing, whatever the check",
    "report/test_page_in_browser.py": "the pages as a browser shows them",
}

#: Folders of tests that are about something other than a package of convkit.
OTHER_FOLDERS = {
    "backends": "the bundled backends, which are no part of convkit/",
    "benchmarks": "benchmarks, run by `make bench` alone",
    "packaging": "the build: distributions, installs, make targets",
    "conformance_mutants": "planted bugs, and that the suite finds them",
    "outside_backends": "backends made of other libraries",
}


def path_of_tests(module: Path) -> Path:
    """Return where the tests of a module are, both relative to their trees."""
    if str(module) in ELSEWHERE:
        return Path(ELSEWHERE[str(module)][0])
    return module.parent / f"test_{module.stem.lstrip('_')}.py"


MODULES = sorted(
    path.relative_to(ROOT / PACKAGE)
    for path in modules().values()
    if path.stem not in ("__init__", "__main__")
)
FILES = sorted(
    path.relative_to(TESTS)
    for path in TESTS.rglob("test_*.py")
    if path.relative_to(TESTS).parts[0] not in OTHER_FOLDERS
)
EXPECTED = {path_of_tests(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_tests_at_its_path(module: Path) -> None:
    assert (TESTS / path_of_tests(module)).is_file(), (
        f"{PACKAGE}/{module} has no tests: write tests/{path_of_tests(module)}"
    )


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_of_tests_is_about_a_module_or_says_what_it_is_about(file: Path) -> None:
    assert file in EXPECTED or str(file) in OTHERS, (
        f"tests/{file} has the path of no module; move it, or say in OTHERS what it is about"
    )


def test_the_tables_name_what_is_there() -> None:
    files = {str(file) for file in FILES}
    assert sorted(set(OTHERS) - files) == []
    assert sorted({str(file) for file in EXPECTED} & set(OTHERS)) == ["test_deprecated.py"]
    assert sorted(set(ELSEWHERE) - set(map(str, MODULES))) == []
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()}
    assert sorted(set(OTHER_FOLDERS) - folders) == []
