"""A library that is missing is one line that says what to install."""

from __future__ import annotations

import pytest

from convkit import ConvkitError
from convkit.optional import require


def test_a_missing_library_is_a_line_that_says_what_to_install():
    with pytest.raises(
        ConvkitError,
        match=r"^flying needs the module 'no_such_module', which is not installed: "
        r"pip install 'convkit-layers\[train\]'$",
    ):
        require("no_such_module.part", "flying")
