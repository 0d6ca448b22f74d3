"""``convkit compare`` prints the course's blocks, and its figures are what they say."""

from __future__ import annotations

import json
import re

import pytest

from convkit import cli

QUICK = ["compare", "--images", "2", "--rounds", "1"]
NUMBER = r"[0-9.e+-]+"


def test_it_prints_what_the_course_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*QUICK, "--backend", "im2col_numpy"]) == 0
    out = capsys.readouterr().out
    blocks = {
        "conv_forward": ["Difference"],
        "conv_backward": ["dx difference", "dw difference", "db difference"],
        "pool_forward": ["Difference"],
        "pool_backward": ["dx difference"],
    }
    for name, differences in blocks.items():
        lines = [rf"Testing {name}_fast:", rf"Naive: {NUMBER}s", rf"Fast: {NUMBER}s"]
        lines += [rf"Speedup: {NUMBER}x", *(rf"{label}: {NUMBER}" for label in differences)]
        assert re.search("\n".join(lines) + "\n\n", out), (name, out)


def test_json_has_a_row_per_backend_and_direction(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*QUICK, "--workload", "conv", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["backend"] for row in rows} >= {"im2col_numpy"}
    assert all(row["reference"] == "naive" and row["backend"] != "naive" for row in rows)
    for row in rows:
        assert row["speedup"] == pytest.approx(row["reference_seconds"] / row["seconds"])
        names = {"out"} if row["direction"] == "forward" else {"dx", "dw", "db"}
        assert set(row["difference"]) == names
        # The course's measure divides by |x| + |y|, and so grows where a sum nearly cancels.
        assert max(row["difference"].values()) < 1e-6


def test_a_backend_that_was_named_must_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*QUICK, "--backend", "im2col_nunpy"]) == 2
    assert capsys.readouterr().err.startswith("convkit: error: backend (='im2col_nunpy') must be")
    assert cli.run([*QUICK, "--reference", "nope"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.run([*QUICK, "--backend", " , "]) == 2
