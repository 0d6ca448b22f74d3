"""Load one backend in a process of its own and say in JSON how that went.

``convkit doctor`` runs this module once per plug-in, so that one that crashes or exits is reported
too. The answer goes to a file, for a plug-in may print what it likes.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def main(index: int, path: str) -> None:
    """Load the ``index``-th entry point and write what became of it."""
    from convkit import registry
    from convkit.errors import BackendLoadError

    record = registry.backends()[index]
    if record.state == "advertised":
        with contextlib.suppress(BackendLoadError):  # its record says why
            registry.load(record.name)
    facts = {"state": record.state, "problem": record.problem, "traceback": record.traceback}
    Path(path).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
