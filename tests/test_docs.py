"""What the documents say can be done: links lead somewhere, and the README's example runs."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import models
from convkit.cli import COMMANDS, convkit_group
from convkit.training.augment import AUGMENTATIONS
from convkit.training.callbacks import HOOKS
from convkit.training.optim import UPDATE_RULES
from convkit.training.schedules import SCHEDULES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_guides_first_backend_computes_what_others_compute() -> None:
    guide = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(compile(code[1], "backends.md", "exec"), names)
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    mine = names["Mine"]()
    with convkit.verify_with("naive"):
        for pool in (convkit.max_pool, convkit.avg_pool):
            pool(x, kernel=2, backend=mine)
            pool(x, kernel=2, pad=1, backend=mine)
            pool(x, kernel=2, ceil_mode=True, backend=mine)
            pool(x, kernel=3, stride=1, backend=mine)
        convkit.max_pool(x, kernel=2, dilation=2, backend=mine)
        convkit.max_pool(x[..., 0], kernel=2, backend=mine)


def test_the_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), names)
    assert len(examples) == 2
    assert names["load"]("net.safetensors").params.keys() == names["grads"].keys()


def test_the_examples_of_the_guide_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("sklearn", reason="the guide trains on scikit-learn's digits")
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, "guide.md", "exec"), names)
    assert len(examples) >= 5
    assert float(capsys.readouterr().out.splitlines()[-1]) > 0.9


def test_the_examples_of_the_networks_page_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, "networks.md", "exec"), names)
        comments = re.findall(r"^print\(list.*# ([\w, ]+)", example, re.MULTILINE)
        printed = capsys.readouterr().out
        for comment in comments:
            assert str(comment.split(", "))[:-1] in printed
    assert len(examples) >= 8


def test_the_examples_of_the_page_on_trained_networks_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("sklearn", reason="the page trains on scikit-learn's digits")
    page = (ROOT / "docs" / "trained.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(example, "trained.md", "exec"), names)
    labels, *_, accuracy, _, scores = capsys.readouterr().out.splitlines()
    assert len(labels.split()) == 5
    assert float(accuracy) > 0.85
    assert min(map(float, scores.strip("[]").split())) > 0.8
    assert names["network"].predict_proba(names["images"][0]).shape == (1, 10)


def test_the_example_of_the_page_on_training_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the page trains on scikit-learn's digits")
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "training.md", "exec"), names)
    stopped, accuracy = capsys.readouterr().out.splitlines()[-1].split()
    assert stopped in ("early", "None")
    assert float(accuracy) > 0.9


def test_the_page_on_training_names_every_rule_schedule_augmentation_and_hook() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    tables = (UPDATE_RULES, SCHEDULES, AUGMENTATIONS, HOOKS, models.MODELS)
    assert [name for table in tables for name in table if f"`{name}`" not in page] == []


def test_the_examples_of_the_page_on_data_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("PIL", reason="the page reads images")
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        for example in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(compile(example, "data.md", "exec"), names)
    shape, accuracy = capsys.readouterr().out.splitlines()
    assert shape == "(14, 1, 32, 32) ['cat', 'dog']"
    assert float(accuracy) > 0.7


def test_the_networks_page_names_every_layer_and_model() -> None:
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    internal = {"MODELS", "Context", "FusedNetwork"}
    assert [name for name in set(models.__all__) - internal if f"`{name}" not in page] == []
    for name, model in models.MODELS.items():
        assert re.search(rf"^\| `{model.__name__}` .* `{name}` \|$", page, re.MULTILINE)


def command_lines() -> list[tuple[str, str]]:
    """Every ``convkit`` command in a block of a document, with the document's name."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for block in blocks:
            lines = re.findall(r"^(?:\w+=\S+ )*convkit ([^#\n&]+)", block, re.MULTILINE)
            found += [(path.name, line.strip()) for line in lines]
    return found


@pytest.mark.parametrize(("document", "line"), command_lines())
def test_the_commands_of_the_documents_are_accepted(document: str, line: str) -> None:
    """Name and options are known; what they would do is the commands' own tests' matter."""
    name, *arguments = shlex.split(line)
    command = convkit_group.get_command(convkit_group.make_context("convkit", []), name)
    assert command is not None
    command.make_context(name, arguments)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_named_in_a_sentence_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"`convkit ([a-z-]+)", text)) <= set(COMMANDS)
