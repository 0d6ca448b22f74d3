"""The benchmark suite measures what it says, and refuses wrong answers. No test asserts a time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit.bench import check, memory, problems, runner, subjects, tables, timing
from convkit.bench.machine import Yardsticks, cpu_name, describe
from convkit.bench.problems import SETS, SHAPES, Problem
from convkit.cli import run
from convkit.errors import ParameterError

SMALL = Problem("small", "conv", (2, 4, 7, 6), 6, 3, 2, 1, 2)
SMALL_MAX = Problem("small_max", "max", (2, 3, 7, 7), 3, 3, 2, 1)
SMALL_AVG = Problem("small_avg", "avg", (2, 3, 7, 7), 3, 3, 2, 1)
SMALL_1D = Problem("small_1d", "conv", (2, 4, 9), 6, 3, 2, 1)
SMALL_3D = Problem("small_3d", "conv", (2, 4, 3, 5, 6), 6, 2, 1, 1, 2)
SMALL_MAX_3D = Problem("small_max_3d", "max", (2, 3, 4, 5, 7), 3, 2, 2, 0)
SMALL_AVG_3D = Problem("small_avg_3d", "avg", (2, 3, 4, 5, 7), 3, 2, 2, 0)
SMALL_ONES = [SMALL, SMALL_MAX, SMALL_AVG, SMALL_1D, SMALL_3D, SMALL_MAX_3D, SMALL_AVG_3D]


def test_every_set_is_made_of_shapes_and_full_is_all_images() -> None:
    full, axes = set(SETS["full"]), set(SETS["axes"])
    assert full | axes == set(SHAPES)
    assert {SHAPES[name].axes for name in full} == {2}
    assert {SHAPES[name].axes for name in axes} == {1, 3}
    for names in SETS.values():
        assert set(names) <= set(SHAPES)
    assert sum(SHAPES[name].is_conv for name in full) == 31


def test_chosen_takes_sets_and_shapes_each_once() -> None:
    assert [p.name for p in problems.chosen("tiny, course,mob_dw3")] == [
        *("tiny", "seed_3x3s2", "seed_7x7", "seed_pool", "mob_dw3")
    ]
    with pytest.raises(ParameterError, match=r"^set \(='nope'\) must be one of the sets course, "):
        problems.chosen("course,nope")
    with pytest.raises(ParameterError, match=r"^set \(=' ,'\) must name a set or a shape$"):
        problems.chosen(" ,")


def test_operations_and_traffic_by_hand() -> None:
    conv = Problem("c", "conv", (2, 3, 4, 5), 7, 3, 1, 1)
    assert conv.operations("forward") == 2 * (2 * 7 * 4 * 5) * 27
    assert conv.operations("dx") == conv.operations("dw") == conv.operations("forward")
    assert conv.operations("backward") == 2 * conv.operations("forward")
    assert conv.traffic("forward", np.float64) == 8 * (2 * 3 * 20 + 2 * 7 * 20 + 7 * 27)
    volume = Problem("v", "conv", (1, 2, 3, 4, 5), 7, 3, 1, 1)
    assert volume.operations("forward") == 2 * (7 * 3 * 4 * 5) * 2 * 27
    pool = Problem("p", "max", (2, 3, 4, 4), 3, 2, 2, 0)
    assert pool.traffic("forward", np.float32) == 4 * (96 + 24) + 24
    assert SHAPES["mob_dw3"].operations("forward") == 2 * 8 * 128 * 56 * 56 * 9
    assert SHAPES["mob_dw3"].depthwise
    assert not SHAPES["alex_c2"].depthwise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", SMALL_ONES, ids=lambda p: p.name)
def test_right_answers_pass(problem: Problem, dtype: str) -> None:
    check.reject_wrong(problem, [subjects.Ours("naive"), subjects.Ours("im2col_numpy")], dtype)


class Planted(Im2colNumpy):
    """A backend with one bug."""

    name = "planted"
    bug = ""

    def conv_forward(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
        if self.bug == "single precision":
            x, w = x.astype(np.float32).astype(x.dtype), w.astype(np.float32).astype(w.dtype)
            out, _ = super().conv_forward(spec, x, w, b)
            return out.astype(np.float32).astype(x.dtype), None
        out, saved = super().conv_forward(spec, x, w, b)
        if self.bug == "out":
            out[-1, -1, -1, -1] += 1
        return out, saved

    def conv_backward(self, *arguments: Any) -> Any:
        found = super().conv_backward(*arguments)
        for name, gradient in zip(("dx", "dw", "db"), found, strict=True):
            if self.bug == name:
                gradient.flat[0] += 1
        return found

    def pool_forward(self, spec: Any, x: Any) -> Any:
        out, saved = super().pool_forward(spec, x)
        if self.bug == "ties" and saved is not None:
            saved[...] = np.where(out == out.max(), saved.max(), saved)
        if self.bug == "average" and saved is None:
            out *= 1.001
        return out, saved


@pytest.mark.parametrize(
    ("bug", "problem", "dtype", "what"),
    [
        ("out", SMALL, "float32", "out"),
        ("dx", SMALL, "float64", "dx"),
        ("dw", SMALL, "float32", "dw"),
        ("db", SMALL, "float32", "db"),
        ("single precision", SMALL, "float64", "out"),
        ("ties", SMALL_MAX, "float32", "dx"),
        ("average", SMALL_AVG, "float64", "out"),
    ],
)
def test_a_wrong_backend_is_not_timed(bug: str, problem: Problem, dtype: str, what: str) -> None:
    class Broken(Planted):
        pass

    Broken.bug = bug
    subject = subjects.Ours(Broken())
    with pytest.raises(
        check.WrongAnswerError,
        match=rf"^backend 'planted' is not timed: its {what} of {problem.name} \({dtype}\) is w",
    ):
        list(runner.run([problem], [subject], [dtype], 1, timing.Effort(1, 0.01)))


@pytest.mark.parametrize("problem", SMALL_ONES, ids=lambda p: p.name)
def test_a_run_has_a_row_for_every_subject_and_way(problem: Problem) -> None:
    taking_part = [subjects.Ours("im2col_numpy"), subjects.Ours("naive")]
    (rows,) = runner.run([problem], taking_part, ["float64"], 1, timing.Effort(2, 0.01))
    assert {(row.subject, row.way) for row in rows} == {
        (name, way) for name in ("im2col_numpy", "naive") for way in problem.ways
    }
    for row in rows:
        assert row.seconds > 0
        assert row.gflops == pytest.approx(problem.operations(row.way) / row.seconds / 1e9)
        assert row.copy_share > 0


def test_the_peer_gives_right_answers() -> None:
    pytest.importorskip("torch")
    for problem in SMALL_ONES:
        check.reject_wrong(problem, [subjects.Torch()], "float32")


def test_extra_memory_counts_what_is_not_a_result() -> None:
    def call() -> dict[str, np.ndarray]:
        scratch = np.ones(32 << 17)  # 32 MiB
        return {"out": np.full(8 << 17, scratch[5])}

    found = memory.extra_bytes(call)
    if found is None:
        pytest.skip("no /proc here")
    assert 30 * 2**20 < found < 40 * 2**20


def test_the_machine_is_named() -> None:
    facts = describe()
    assert facts["cpu"] == cpu_name() != ""
    assert facts["versions"]["numpy"] == np.__version__
    yardsticks = Yardsticks()
    assert yardsticks.peak("float32") > 0
    assert yardsticks.copier(1e5)() > 0


def make_row(subject: str, seconds: float, **changes: Any) -> timing.Row:
    values: dict[str, Any] = {
        "problem": "p", "kind": "conv", "dtype": "float32", "threads": 2, "subject": subject,
        "way": "forward", "seconds": seconds, "spread": 0.01, "gflops": 1.0, "peak_share": 0.5,
        "copy_share": 0.25, "memory_bound": False, "extra_bytes": 2**20, "least_bytes": 10.0,
    }  # fmt: skip
    return timing.Row(**{**values, **changes})


def test_tables_show_losing_rows_and_ratios() -> None:
    rows = [make_row("cython", 2.0), make_row("torch", 1.0), make_row("cython", 0.001, way="dx")]
    lines = tables.text(rows).splitlines()
    assert lines[0] == "float32, 2 threads"
    assert lines[2].split() == [
        *("p", "forward", "cython", "2", "s", "±1%", "1.0", "50%", "peak", "1.0", "MiB", "0.50")
    ]
    assert lines[4].split()[-2:] == ["1.0", "MiB"]  # nothing to compare it with
    wide = tables.wide_table(rows, ["cython", "torch"])
    assert "| p | forward | 2 s ±1% | 1.0 | 50% peak | 1.0 MiB | 0.50 | 1 s ±1% |" in wide
    assert tables.geometric_mean([2.0, 8.0, math.nan]) == 4.0
    assert "25% copy" in tables.text([make_row("cython", 1.0, memory_bound=True)])


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "im2col_numpy", "--set", "tiny", "--dtype", "float32", "--rounds", "1"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cpu"] == cpu_name()
    assert {row["way"] for row in found["rows"]} == {"forward", "backward", "dx", "dw"}
    assert run(arguments) == 0
    assert "float32, " in capsys.readouterr().out


def test_the_command_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--set", "nope"]) == 2
    assert "--set (='nope') must be one of the sets course, quick, full" in capsys.readouterr().err
    assert run(["bench", "no_such", "--set", "tiny"]) == 2
    assert "no_such" in capsys.readouterr().err


def test_the_report_is_a_page_with_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.md"
    assert run(["bench", "im2col_numpy", "--set", "tiny", "--rounds", "1", "--report", str(page),
                "--no-scaling"]) == 0  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert cpu_name() in text
    assert "| tiny | forward |" in text
    for name in ("roofline", "speedup"):
        assert (tmp_path / "page" / f"{name}.png").stat().st_size > 1000
        assert f"(page/{name}.png)" in text


def test_shares_are_of_the_limit_that_a_row_has() -> None:
    from convkit.commands._bench_report import shares

    rows = [
        make_row("cython", 1.0, problem="a", peak_share=0.5),
        make_row("cython", 1.0, problem="b", peak_share=0.9),
        make_row("cython", 1.0, problem="pool", kind="max", copy_share=0.25, memory_bound=True),
        make_row("torch", 1.0, problem="c", peak_share=0.1),
    ]
    lines = shares(rows).splitlines()[2:]
    assert lines == [
        "| float32 | forward | peak | 2 | 70% | 50% (a) |",
        "| float32 | forward | copy | 1 | 25% | 25% (pool) |",
    ]


@pytest.mark.parametrize(
    ("first", "later", "warm_up", "timed"),
    [
        pytest.param(0.003, 0.001, 2, 4, id="the first call is slow"),
        pytest.param(0.1, 0.1, 1, 1, id="a long call needs no second one"),
        pytest.param(0.003, 0.003, 2, 1, id="as long as can be told"),
    ],
)
def test_what_a_cold_start_takes_does_not_count(
    monkeypatch: pytest.MonkeyPatch, first: float, later: float, warm_up: int, timed: int
) -> None:
    now, calls = 0.0, 0

    def call() -> None:
        nonlocal now, calls
        now += later if calls else first
        calls += 1

    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.00401)  # sums of floats round
    assert timing.seconds_per_call(call) == pytest.approx(later)
    assert calls == warm_up + timed


def test_sweeps_share_out_the_rounds_of_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, int]] = []
    take = timing.Measurement.take

    def noted(self: Any, turns: range, seconds: float) -> None:
        taken.extend((self.problem.name, turn) for turn in turns)
        take(self, turns, seconds)

    monkeypatch.setattr(timing.Measurement, "take", noted)
    steps: list[str] = []
    wanted = [problems.SHAPES["tiny"], problems.SHAPES["tiny"].with_(name="other")]
    effort = timing.Effort(rounds=3, seconds=0.01, sweeps=2)
    parts = list(
        runner.run(
            wanted, [subjects.Ours("naive")], ["float64"], 1, effort, ("dx",),
            on_step=lambda problem, dtype: steps.append(f"{problem.name} {dtype}"),
        )
    )  # fmt: skip
    assert taken == [
        ("tiny", 0),
        ("other", 0),
        ("tiny", 1),
        ("tiny", 2),
        ("other", 1),
        ("other", 2),
    ]
    assert steps == ["tiny float64", "other float64"] * 2
    assert [row.problem for part in parts for row in part] == ["tiny", "other"]


def test_more_sweeps_than_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--set", "tiny", "--rounds", "2", "--sweeps", "3"]) == 2
    assert "--sweeps (=3) must not be above --rounds (=2)" in capsys.readouterr().err


def test_threads_are_compared_in_turns_where_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from convkit.commands._bench_report import thread_rows

    used: list[int] = []
    monkeypatch.setattr(Yardsticks, "peak", lambda self, dtype: {1: 10.0, 2: 15.0}[used[-1]])

    class Counting(subjects.Ours):
        def set_num_threads(self, n: int) -> None:
            used.append(n)

    subject = Counting("naive")
    subject.name = "cython"
    rows = [
        make_row("cython", 0.004, problem="tiny", way="dx"),
        make_row("cython", 0.001, problem="tiny", way="dw"),  # too short
        make_row("cython", 0.004, problem="mob_dw3", memory_bound=True),
        make_row("torch", 0.004, problem="tiny"),
    ]
    (row,) = thread_rows([subject], rows, 2, 3)
    assert (row["problem"], row["way"], used) == ("tiny", "dx", [1, 2] * 3)
    assert row["one"] > 0 < row["all"]
    assert row["peak"] == 1.5
    assert thread_rows([subject], rows, 1, 3) == []


def test_what_threads_gain_is_held_against_what_the_peak_gained() -> None:
    from convkit.commands._bench_report import _threads_summary, _threads_table

    row = {"problem": "a", "way": "dw", "dtype": "float32"}
    rows = [
        {**row, "one": 0.006, "all": 0.003, "peak": 2.0},
        {**row, "one": 0.009, "all": 0.006, "peak": 1.5},
        {**row, "one": 0.006, "all": 0.003, "peak": 2.5},
    ]
    assert _threads_table(rows).splitlines()[3].endswith("| 1.50 | 1.50 |")
    text = _threads_summary(rows)
    assert "mean 1.82, smallest 1.50" in text
    assert "gained 1.96 and, at worst, 1.50" in text
    assert "kept 93% (smallest 80%)" in text
