"""``python -m conformance_mutants.happened``: write docs/bugs-that-happened.md."""

from __future__ import annotations

from pathlib import Path

from conformance_mutants.happened.reports import markdown

PAGE = Path(__file__).resolve().parents[3] / "docs" / "bugs-that-happened.md"

if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
