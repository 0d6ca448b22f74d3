"""The argument MODEL: a file or a run's folder, with what its network needs to be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained_models import CLASSES, network

from convkit import DataError
from convkit.commands._model import class_names, open_model, prepared_by, seed_of
from convkit.tensors import WEIGHTS_FILE


def test_a_file_and_the_folder_of_a_run_are_a_model(tmp_path: Path) -> None:
    net = network()
    net.save(tmp_path / WEIGHTS_FILE)
    for path in (tmp_path, tmp_path / WEIGHTS_FILE):
        found = open_model(path, "naive")
        assert repr(found) == repr(net)
        assert found.backend == "naive"


def test_what_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found a folder without it"):
        open_model(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        open_model(tmp_path / "a")


def test_a_network_without_preprocessing_is_refused() -> None:
    net = network()
    assert prepared_by(Path("a"), net) is net.preprocessing
    net.preprocessing = None
    with pytest.raises(DataError, match=r"^a: expected the preprocessing .* found none: train it"):
        prepared_by(Path("a"), net)


def test_labels_without_names_have_their_numbers() -> None:
    net = network()
    assert class_names(net) == list(CLASSES)
    net.class_names = None
    assert class_names(net) == ["0", "1", "2"]
    net.class_names = ("one",)
    assert class_names(net) == ["one", "1", "2"]


def test_the_seed_is_the_run_s(tmp_path: Path) -> None:
    assert seed_of(tmp_path) == 0
    for content, seed in (('{"settings": {"seed": 7}}', 7), ("[]", 0), ("{", 0)):
        (tmp_path / "run.json").write_text(content)
        assert seed_of(tmp_path) == seed
