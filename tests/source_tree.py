"""The modules of convkit and what each imports, read off the source without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "convkit"


@cache
def modules() -> dict[str, Path]:
    """Return every module by its name, a package's ``__init__`` by the package's name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, root: Path = ROOT) -> Iterator[tuple[str, str, int]]:
    """Return (module, name, line) of every import in a file, absolute; name is empty for `import`.

    Imports inside functions and under ``TYPE_CHECKING`` count.
    """
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((module, alias.name, node.lineno) for alias in node.names)


def imported_modules(name: str) -> dict[str, int]:
    """Return the modules of convkit that a module imports, each with a line that does.

    ``from convkit.calls import tracing`` imports the module ``convkit.calls.tracing``, and
    ``from convkit.registry import find`` the module ``convkit.registry``.
    """
    known = modules()
    found: dict[str, int] = {}
    for module, attribute, line in imports(known[name]):
        target = f"{module}.{attribute}" if f"{module}.{attribute}" in known else module
        while target and target not in known:
            target = target.rpartition(".")[0]
        if target and target != name:
            found.setdefault(target, line)
    return found
