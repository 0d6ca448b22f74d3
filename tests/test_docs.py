"""What the documents say can be done: links lead somewhere, and the README's example runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_guides_first_backend_computes_what_others_compute() -> None:
    guide = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(compile(code[1], "backends.md", "exec"), names)
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    mine = names["Mine"]()
    with convkit.verify_with("naive"):
        for pool in (convkit.max_pool, convkit.avg_pool):
            pool(x, kernel=2, backend=mine)
            pool(x, kernel=2, pad=1, backend=mine)
            pool(x, kernel=2, ceil_mode=True, backend=mine)
            pool(x, kernel=3, stride=1, backend=mine)
        convkit.max_pool(x, kernel=2, dilation=2, backend=mine)
        convkit.max_pool(x[..., 0], kernel=2, backend=mine)


def test_the_example_of_the_readme_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    exec(compile(code[1], "README.md", "exec"), {})
