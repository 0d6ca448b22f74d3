"""A stored case runs again, with its own backend or another."""

from __future__ import annotations

import numpy as np
import pytest
from planted_backend import planted

import convkit
from convkit.replay import replay


def test_a_case_may_be_replayed_with_another_backend(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        convkit.max_pool(np.ones((1, 1, 4, 4)), kernel=2, backend=planted("pool out"))
    (stored,) = tmp_path.glob("*.npz")
    replay(str(stored), "naive")
    assert capsys.readouterr().out == "verified: no element is beyond its bound\n"
    with pytest.raises(convkit.VerifyError):
        replay(str(stored), planted("pool out"))
