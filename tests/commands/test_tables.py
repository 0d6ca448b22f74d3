"""Tables of text."""

from __future__ import annotations

from convkit.commands._tables import text_table


def test_columns_are_aligned_and_numbers_to_the_right() -> None:
    rows = [["naive", "1x", "10"], ["a", "250x", ""]]
    assert text_table(["name", "speed", "n"], rows, numbers=2).splitlines() == [
        "name   speed   n",
        "naive     1x  10",
        "a       250x",
    ]
    assert text_table(["name", "n"], [["a", "1"]]).splitlines() == ["name  n", "a     1"]
