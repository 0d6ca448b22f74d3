"""Who may import whom, read off the source: `api -> registry -> (entry point) -> backend`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONVKIT = ROOT / "convkit"
BACKENDS = ROOT / "backends"

#: The path of one call; what is not on it goes through the API.
CALLS = {"dispatch", "plans", "results", "inputs"}
#: What a part of convkit must not import, wherever in its files an import stands.
FORBIDDEN = {
    "spec": {"api", "registry", *CALLS, "cli", "models", "training", "report", "conformance"},
    "contract": {"api", "registry", *CALLS, "cli", "models", "training", "conformance"},
    "registry": {
        "selection",
        "choice",
        "candidates",
        *CALLS,
        "conformance",
        "cli",
        "commands",
        "api",
        "bench",
        "models",
    },
    "choice": {*CALLS, "selection", "candidates", "conformance", "cli", "commands", "api"},
    "candidates": {*CALLS, "conformance", "cli", "commands", "api", "bench", "models"},
    "fitness": {*CALLS, "selection", "choice", "candidates", "conformance", "cli", "commands"},
    "selection": {*CALLS, "candidates", "conformance", "cli", "commands", "api", "bench", "models"},
    "plans": {"dispatch", "results", "api", "cli", "commands", "conformance", "bench", "models"},
    "results": {"dispatch", "selection", "registry", "api", "cli", "commands", "conformance"},
    "inputs": {"dispatch", "plans", "results", "selection", "registry", "api", "cli", "commands"},
    "dispatch": {"api", "cli", "commands", "conformance", "bench", "models", "training", "report"},
    "api": {"cli", "commands", "conformance", "bench", "models", "training", "report"},
    "layers": {"registry", "cli", "commands", "conformance", "bench", "training", "report"},
    "models": {"registry", *CALLS, "cli", "commands", "training", "report", "conformance"},
    "training": {"api", "registry", *CALLS, "cli", "commands", "report", "conformance"},
    "report": {"api", "registry", *CALLS, "cli", "commands", "conformance", "models"},
    "conformance": {*CALLS, "cli", "commands", "models", "training", "report"},
    "bench": {*CALLS, "cli", "commands", "models", "training", "report"},
}
FOR_BACKENDS = {"contract", "spec", "errors"}
CLICK = {"cli", "commands"}


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports when it runs, absolute, with each name of a ``from`` import."""
    package = path.relative_to(ROOT).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    types_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for statement in test.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in types_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part(module: str) -> str | None:
    """The part of convkit a module belongs to: ``convkit.api`` and ``convkit.api.x`` are api."""
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "convkit" and len(pieces) > 1 else None


FILES = sorted(CONVKIT.rglob("*.py"))


def part_of_file(path: Path) -> str:
    return path.relative_to(CONVKIT).parts[0].removesuffix(".py")


def test_the_walk_sees_the_house() -> None:
    found = {part_of_file(path) for path in FILES}
    assert {"api", "registry", "spec", "contract", "cli", "commands"} <= found
    assert len(list(BACKENDS.glob("*/__init__.py"))) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_part_imports_what_it_must_not(path: Path) -> None:
    own = part_of_file(path)
    seen = {part(module) for module in imports(path)}
    assert not seen & FORBIDDEN.get(own, set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_part_imports_a_backend(path: Path) -> None:
    assert not [
        m for m in imports(path) if m.startswith("convkit_") or m.split(".")[0] == "backends"
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_imports_click(path: Path) -> None:
    if part_of_file(path) not in CLICK:
        assert "click" not in {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize(
    "path", sorted(BACKENDS.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_backend_imports_contract_spec_and_errors_only(path: Path) -> None:
    own = f"convkit_{path.relative_to(BACKENDS).parts[0]}"
    for module in imports(path):
        top = module.split(".")[0]
        assert not top.startswith("convkit_") or top == own
        if top == "convkit":
            assert part(module) in FOR_BACKENDS, module


def test_backends_is_no_package() -> None:
    assert not (BACKENDS / "__init__.py").exists()


def test_importing_convkit_loads_nothing_heavy() -> None:
    code = "import sys, convkit; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not {name for name in loaded if name.startswith("convkit_")}
    assert not loaded & {"matplotlib", "sklearn", "scipy", "click", "pluggy", "jinja2", "tqdm"}
