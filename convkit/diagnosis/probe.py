"""Load one backend in a separate process and report the outcome as JSON.

``convkit doctor`` runs this module once per plug-in, so that a plug-in that crashes or exits is
reported too. The outcome goes to a file, because a plug-in may print anything.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def main(index: int, path: str) -> None:
    """Load the ``index``-th entry point and write its state."""
    from convkit import registry
    from convkit.errors import BackendLoadError
    from convkit.selection.overview import facts_of

    record = registry.backends()[index]
    if record.state == "advertised":
        with contextlib.suppress(BackendLoadError):  # its record says why
            registry.load(record.name)
    facts = {
        "state": record.state,
        "problem": record.problem,
        "traceback": record.traceback,
        "info": facts_of(record),
    }
    Path(path).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
