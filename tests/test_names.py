"""Names as they are compared, and the hint for a misspelt one."""

from __future__ import annotations

import pytest

from convkit.names import normalise_name, printable, suggest


@pytest.mark.parametrize(
    ("given", "compared"),
    [("Im2col-NumPy", "im2col_numpy"), ("  naive\n", "naive"), ("a-b_c", "a_b_c"), ("", "")],
)
def test_case_dashes_and_blanks_make_no_difference(given: str, compared: str) -> None:
    assert normalise_name(given) == compared
    assert normalise_name(compared) == compared


def test_a_hint_names_the_closest_word_or_nothing() -> None:
    known = ["naive", "im2col_numpy", "cython"]
    assert suggest("navie", known) == "did you mean 'naive'?"
    assert suggest("im2col", iter(known)) == "did you mean 'im2col_numpy'?"
    assert suggest("tensorflow", known) == ""
    assert suggest("naive", []) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [("cat", "cat"), ("犬", "犬"), ("caf\udce9", r"caf\xe9"), ("a\ud800", r"a\ud800")],
)
def test_what_utf_8_cannot_hold_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
