"""The version is stated once, and is that of the installed distribution."""

from __future__ import annotations

import importlib.metadata
import re

import convkit
from convkit.version import DISTRIBUTION, __version__


def test_it_is_the_installed_distribution_s() -> None:
    assert importlib.metadata.version(DISTRIBUTION) == __version__


def test_it_is_public_and_a_release() -> None:
    assert convkit.__version__ is __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", __version__)
