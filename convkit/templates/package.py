"""The package of a new backend, made from the templates."""

from __future__ import annotations

import keyword
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from convkit.errors import ParameterError
from convkit.names import normalise_name
from convkit.registry import AUTO, BUILTIN_ORDER
from convkit.version import __version__

#: template -> where it goes
FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "ci.yml": ".github/workflows/test.yml",
    "test_conformance.py": "tests/test_conformance.py",
    "backend.py": "{module}/__init__.py",
}


def render(name: str) -> dict[str, str]:
    """Return the package's files, path by path. Raises ParameterError for an unusable name."""
    backend = normalise_name(name)
    if not backend.isidentifier() or not backend.isascii() or keyword.iskeyword(backend):
        raise ParameterError(
            f"NAME (={name!r}) must be letters, digits, - and _, and not begin with a digit"
        )
    if backend in (AUTO, *BUILTIN_ORDER):
        raise ParameterError(f"NAME (={name!r}) is a name that convkit keeps; choose another")
    words = {
        "name": backend,
        "module": f"convkit_{backend}",
        "distribution": f"convkit-{backend.replace('_', '-').strip('-')}",
        "cls": "".join(part.capitalize() for part in backend.split("_")) + "Backend",
        "convkit": __version__,
    }
    texts = {}
    for template, path in FILES.items():
        text = resources.files("convkit.templates").joinpath(f"{template}.tmpl").read_text("utf-8")
        texts[path.format(**words)] = Template(text).substitute(words)
    return texts


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Write a package's files into a new folder, all of them or none.

    Raises ParameterError where the folder exists.
    """
    if folder.exists():
        raise ParameterError(f"the folder {str(folder)!r} exists; remove it, or give --output")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written to a temporary folder and renamed, so that a failure leaves no partial package.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-backend-") as temporary:
        whole = Path(temporary) / "package"
        for path, text in texts.items():
            target = whole / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        whole.rename(folder)
