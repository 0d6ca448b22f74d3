"""Types of options."""

from __future__ import annotations

import click
import pytest

from convkit.commands._types import Augmentations, ClassWeights, FiniteFloat, FolderName


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FiniteFloat(), "-3", -3.0),
        (FolderName(), "a-b_1", "a-b_1"),
        (Augmentations(), "flip,shift=2", "flip,shift=2"),
        (ClassWeights(), "balanced", "balanced"),
        (ClassWeights(), "1,0,2.5", "1,0,2.5"),
    ],
)
def test_values_that_are_taken(kind: click.ParamType[object], text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (FiniteFloat(0, open_low=True), "0", "0 must be more than 0"),
        (FolderName(), "../up", "'../up' must be up to 100 letters"),
        (Augmentations(), "flip,flip", "must name each augmentation once"),
        (ClassWeights(), "equal", "'equal' is not a number"),
    ],
)
def test_values_that_are_not(kind: click.ParamType[object], text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        kind.convert(text, None, None)
