"""Plug-ins, environment variables and the machine examined: facts, and findings with a fix each."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from convkit import registry
from convkit.bench import machine
from convkit.calls import tracing
from convkit.errors import ConvkitError
from convkit.names import suggest
from convkit.selection.request import check_exists, parse, parse_reference
from convkit.version import __version__

#: Every variable convkit reads, and what for.
VARIABLES = {
    "CONVKIT_BACKEND": "the backend, or a list for each operation",
    "CONVKIT_DISABLE": "backends that must not be loaded",
    "CONVKIT_TRACE": "dispatch, profile, names of operations",
    "CONVKIT_VERIFY": "the reference backend of verification",
    "CONVKIT_ISA": "the instruction set of the compiled backend",
    "CONVKIT_NUM_THREADS": "the threads of the compiled backend",
    "CONVKIT_BUFFER_POOL": "the bytes that the compiled backend keeps of freed results' memory",
    "CONVKIT_POISON": "for tests: memory that is used again is filled with NaN",
    "CONVKIT_CFLAGS": "flags for compiling the compiled backend",
}
FLAGS = ("sse4_2", "avx2", "fma", "avx512f", "avx512bw", "asimd", "sve")
TIMEOUT = 120


class Finding(NamedTuple):
    """Something that is wrong, and what to do about it."""

    what: str
    fix: str


def probe(index: int, record: registry.Record) -> dict[str, Any]:
    """Load a backend in a subprocess; return its state, problem, traceback and facts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.json"
        command = [sys.executable, "-m", "convkit.diagnosis.probe", str(index), str(path)]
        search = os.pathsep.join(p for p in sys.path if p)
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                env=os.environ | {"PYTHONPATH": search},
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return _broken(f"loading it took longer than {TIMEOUT} s", "")
        if path.exists():
            facts: dict[str, Any] = json.loads(path.read_text())
            return facts
    how = f"ended the process with exit status {done.returncode}"
    if done.returncode < 0:
        how = f"crashed with {signal.Signals(-done.returncode).name}"
    return _broken(f"loading it {how}", done.stderr.strip())


def _broken(problem: str, traceback: str) -> dict[str, Any]:
    return {"state": "broken", "problem": problem, "traceback": traceback, "info": {}}


def backend_facts() -> list[dict[str, Any]]:
    """Return an entry per advertised backend: name, origin, state, problem, traceback."""
    return [
        {
            "name": record.name,
            "distribution": record.owner,
            "value": record.value,
            **probe(index, record),
        }
        for index, record in enumerate(registry.backends())
    ]


def backend_findings(facts: list[dict[str, Any]]) -> list[Finding]:
    """Return what is wrong with backends, missing built-in ones included."""
    findings = []
    for entry in facts:
        if entry["state"] == "broken":
            findings.append(Finding(f"backend {entry['name']!r} from {entry['distribution']}: "
                                    f"{entry['problem']}", _fix(entry)))  # fmt: skip
    for name in set(registry.BUILTIN_ORDER).difference(e["name"] for e in facts):
        fix = "install convkit-layers again: its entry points are missing"
        findings.append(Finding(f"built-in backend {name!r} is not advertised", fix))
    return findings


def _fix(entry: dict[str, Any]) -> str:
    problem, name = entry["problem"], entry["name"]
    if "compiled kernels" in problem:
        return "install a C compiler, then: pip install --force-reinstall --no-deps convkit-layers"
    if "ModuleNotFoundError" in problem:
        return "install the missing module, or uninstall the package that needs it"
    if "convkit" in problem and "is too old for" in problem:
        return "upgrade the one that is too old"
    if "which convkit keeps" in problem:
        return f"uninstall {entry['distribution']}, or have its author rename the backend"
    if "metadata cannot be read" in problem:
        return "install that package again, or uninstall it"
    if "claim" in problem:
        return "uninstall all packages but one that claim this name"
    return f"report it to its author, uninstall it, or set CONVKIT_DISABLE={name}"


def variable_findings(environ: dict[str, str]) -> list[Finding]:
    """Return what is wrong with the environment variables."""
    findings = []
    for name in sorted(n for n in environ if n.startswith("CONVKIT_") and n not in VARIABLES):
        near = suggest(name, list(VARIABLES)) or f"known are {', '.join(VARIABLES)}"
        findings.append(Finding(f"{name} is no variable of convkit", f"{near}; unset it"))
    checks: dict[str, Callable[[str], object]] = {
        "CONVKIT_BACKEND": lambda text: check_exists(parse(text, "its value")),
        "CONVKIT_TRACE": lambda text: tracing.parse(text.split(","), "its value"),
        "CONVKIT_VERIFY": _check_reference,
    }
    for name, check in checks.items():
        try:
            check(environ.get(name, ""))
        except ConvkitError as error:
            findings.append(Finding(f"{name}={environ[name]!r}: {error}", "correct or unset it"))
    known = {record.name for record in registry.backends()}
    for name in sorted(registry.blocked_names() - known):
        near = suggest(name, sorted(known)) or "there is no such backend"
        findings.append(Finding(f"CONVKIT_DISABLE names {name!r}", f"{near}; correct it"))
    return findings


def _check_reference(text: str) -> None:
    reference = parse_reference(text, "its value")
    if isinstance(reference, str):
        registry.find(reference)


def machine_facts() -> dict[str, Any]:
    """Return versions, compiler and CPU."""
    compilers = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    found = next((path for c in compilers if c and (path := shutil.which(c.split()[0]))), None)
    flags = machine.cpu_flags()
    return {
        "convkit": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "pluggy")},
        "platform": platform.platform(),
        "compiler": found or "none found",
        "cpu": machine.cpu_name(),
        "cpu_count": os.cpu_count(),
        "cpu_flags": [flag for flag in FLAGS if flag in flags],
    }
