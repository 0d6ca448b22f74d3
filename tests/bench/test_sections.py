"""A section of a page is found and replaced, and the others stay."""

from __future__ import annotations

from convkit.bench.sections import body, replaced

PAGE = "# Page\n\nfirst\n\n## One\n\na\n\n### Below\n\nb\n\n## Two\n\nc\n"


def test_a_section_ends_where_the_next_begins() -> None:
    assert body(PAGE, "One") == "a\n\n### Below\n\nb"
    assert body(PAGE, "Two") == "c"
    assert body(PAGE, "Three") is None
    assert body(PAGE, "Tw") is None


def test_only_the_section_is_replaced() -> None:
    assert replaced(PAGE, "One", "new\n") == "# Page\n\nfirst\n\n## One\n\nnew\n\n## Two\n\nc\n"
    assert replaced(PAGE, "Two", "new") == PAGE.replace("c\n", "new\n")
    added = replaced(PAGE, "Three", "new")
    assert added == PAGE + "\n## Three\n\nnew\n"
    assert body(added, "Three") == "new"
