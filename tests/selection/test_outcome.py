"""The outcome of a selection, as text, as data and inside errors."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import registry

SPEC = convkit.ConvSpec.of((8, 64, 56, 56), (64, 64, 3, 3), dtype="float32")


def test_selection_errors_print_the_same_object(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: "it is tired")
    x, w = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
    with pytest.raises(convkit.BackendUnsupportedError) as caught:
        convkit.conv(x, w, pad=3, backend="naive")
    assert str(caught.value).endswith(str(caught.value.selection))
    assert caught.value.selection.winner is None
