"""``convkit backends`` tells what is there and what is the matter with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

import convkit
from convkit import cli, registry


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    convkit.reload()
    yield
    convkit.reload()


def rows(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, object]]:
    assert cli.run(["backends", "--json", *options]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_the_built_in_backends_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys)
    assert set(registry.BUILTIN_ORDER) <= set(found)
    assert found["naive"]["state"] == "loaded"
    assert found["naive"]["version"] == convkit.__version__
    assert found["naive"]["distribution"] == "convkit-layers"


def test_all_that_come_with_convkit_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    own = [row for row in rows(capsys).values() if row["distribution"] == "convkit-layers"]
    assert len(own) > len(registry.BUILTIN_ORDER)  # more than the automatic choice takes
    assert "advertised" not in {row["state"] for row in own}


def test_the_table_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["backends"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["name", "state", "version"]
    listed = {line.split()[0]: line.split()[1] for line in lines}
    assert listed["naive"] == "loaded"
    assert set(listed) == {record.name for record in convkit.backends()}


def test_listing_can_load_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert {row["state"] for row in rows(capsys, "--no-load").values()} == {"advertised"}


def test_what_is_not_known_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["backends", "--no-load"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert {tuple(line.split()[3:7]) for line in lines} == {("-",) * 4}


def test_a_broken_backend_is_listed_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules makes Python raise at the import, as a missing module does.
    monkeypatch.setitem(sys.modules, "convkit_im2col_numpy", None)
    row = rows(capsys)["im2col_numpy"]
    assert row["state"] == "broken"
    assert "convkit_im2col_numpy" in str(row["problem"])
    assert rows(capsys)["naive"]["state"] == "loaded"


def test_a_blocked_backend_is_listed_as_blocked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVKIT_DISABLE", "naive")
    row = rows(capsys)["naive"]
    assert row["state"] == "blocked"
    assert row["problem"] == "blocked by CONVKIT_DISABLE"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cyton", "did you mean 'cython'?"),
        ("conv=cyton", "did you mean 'cython'?"),
        ("no=naive", "CONVKIT_BACKEND"),
    ],
)
def test_a_misspelt_convkit_backend_is_remarked_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("CONVKIT_BACKEND", value)
    convkit.reload()
    assert cli.run(["backends", "--json"]) == 0
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("convkit: warning: ")
    assert "CONVKIT_BACKEND" in line
    assert said in line
    assert json.loads(printed.out)


@pytest.mark.parametrize("value", ["", "naive", "auto", "im2col-numpy,naive"])
def test_a_right_convkit_backend_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CONVKIT_BACKEND", value)
    convkit.reload()
    assert cli.run(["backends"]) == 0
    assert capsys.readouterr().err == ""
