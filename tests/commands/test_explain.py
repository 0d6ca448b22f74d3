"""`convkit explain` prints what `convkit.explain` returns."""

from __future__ import annotations

import json

import pytest

import convkit
from convkit import cli

SPEC = convkit.ConvSpec.of((8, 64, 56, 56), (64, 64, 3, 3), dtype="float32")

POOL = convkit.PoolSpec.of((8, 64, 54, 54), kind="max", kernel=2, dtype="float32")

EXPLAIN = ("explain", "--op")


def test_the_command_prints_the_same(capsys):
    line = [
        "explain",
        "--op",
        "conv",
        "--x",
        "8,64,56,56",
        "--w",
        "64,64,3,3",
        "--no-bias",
        "--backend",
        "naive",
    ]
    assert cli.run(line) == 0
    assert capsys.readouterr().out.strip() == str(convkit.explain(SPEC, backend="naive"))
    assert cli.run([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == convkit.explain(SPEC, backend="naive").to_dict()
    assert cli.run([*EXPLAIN, "max_pool", "--x=8,64,54,54", "--kernel=2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problem"] == str(POOL)
    fused = [
        "explain",
        "--op",
        "conv_relu_pool",
        "--x",
        "8,64,56,56",
        "--w",
        "64,64,3,3",
        "--kernel",
        "2",
        "--json",
    ]
    assert cli.run(fused) == 0
    assert json.loads(capsys.readouterr().out)["operation"] == "conv_relu_pool"


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("--op conv --x 1,2,3,3", 2, "--w is needed"),
        ("--op max_pool --x 1,2,3,3 --kernel 2 --w 1,1,1,1", 2, "--w does not belong"),
        ("--op conv --x 1,a,3,3 --w 1,1,1,1", 2, "must be ints"),
        ("--op conv --x 1,2,3,3 --w 1,1,1,1", 1, "w.shape[1]"),
        ("--op conv --x 1,1,3,3 --w 1,1,1,1 --backend navie", 2, "did you mean 'naive'"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(capsys, line, status, message):
    assert cli.run(["explain", *line.split()]) == status
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
