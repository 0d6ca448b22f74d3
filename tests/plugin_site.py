"""Plug-ins that are really installed: packages with metadata in a folder on PYTHONPATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

#: A backend that works, with gaps for what a test wants to be different.
BACKEND = """
from convkit.contract import API_VERSION, hookimpl
import convkit_im2col_numpy

class Plugin(convkit_im2col_numpy.Im2colNumpy):
    name = {name!r}
    api_version = {version}
{body}

@hookimpl
def convkit_backend():
    return Plugin()
"""


@dataclass(frozen=True)
class Site:
    """A site folder of its own."""

    folder: Path

    def install(
        self,
        name: str,
        source: str | None = None,
        *,
        body: str = "",
        version: str = "API_VERSION",
        own_name: str | None = None,
        distribution: str | None = None,
        entries: str | None = None,
    ) -> str:
        """Install a package that advertises ``name``; return its module."""
        distribution = distribution or f"convkit-{name}"
        module = distribution.replace("-", "_")
        text = source or BACKEND.format(name=own_name or name, version=version, body=body)
        (self.folder / f"{module}.py").write_text(text)
        info = self.folder / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        default = f"[convkit.backends]\n{name} = {module}\n"
        (info / "entry_points.txt").write_text(default if entries is None else entries)
        return module

    def run(
        self, code: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python code in a process that sees this site."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("CONVKIT")}
        search = os.pathsep.join([str(self.folder), *filter(None, [own.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=own | {"PYTHONPATH": search} | variables,
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        if check and done.returncode:
            raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def value(self, code: str, **variables: str) -> object:
        """What the code's expression ``result`` holds at the end, through JSON."""
        done = self.run(PROLOGUE + code + "\nprint(json.dumps(result))", **variables)
        return json.loads(done.stdout.splitlines()[-1])


PROLOGUE = """
import json, sys
import numpy as np
import convkit
from convkit import registry
from convkit.selection import scope as selection

def error(call):
    try:
        call()
    except Exception as e:
        return [type(e).__name__, str(e)]

def states():
    return {r.name: r.state for r in convkit.backends()}

x, w = np.ones((1, 3, 8, 8), "f4"), np.ones((4, 3, 3, 3), "f4")
def who(**k):
    return convkit.conv_forward(x, w, **k)[1].backend
def pool(**k):
    return convkit.max_pool_forward(x, kernel=2, **k)[1].backend
"""
