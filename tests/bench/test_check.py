"""Wrong results are found, whichever they are, and are never timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bench_cases import SMALL, SMALL_AVG, SMALL_MAX, SMALL_ONES
from convkit_im2col_numpy import Im2colNumpy

from convkit.bench import check, runner, subjects, timing
from convkit.bench.problems import Problem


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


class Cheats(Planted):
    """Right at first."""

    name = "cheats"
    remembered: Any
    calls = 0

    def conv_forward(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
        if self.bug == "by shape":
            return self.remembered.setdefault(spec, super().conv_forward(spec, x, w, b))
        if self.bug == "by address":
            key = (x.ctypes.data, w.ctypes.data)
            return self.remembered.setdefault(key, super().conv_forward(spec, x, w, b))
        out, saved = super().conv_forward(spec, x, w, b)
        self.calls += 1
        return out + (self.calls > 10), saved


@pytest.mark.parametrize("bug", ["by shape", "by address", "after ten calls"])
def test_who_remembers_answers_or_goes_wrong_later_is_refused_by_name(bug: str) -> None:
    backend = Cheats()
    backend.bug, backend.remembered = bug, {}
    with pytest.raises(
        check.WrongAnswerError,
        match=r"^backend 'cheats' is not timed: its out of .* is wrong after it was timed: ",
    ):
        list(
            runner.run(
                [SMALL], [subjects.Ours(backend)], ["float32"], 1, timing.Effort(12, 0.01),
                ("forward",),
            )
        )  # fmt: skip


def test_every_round_has_arrays_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    class Notes(Im2colNumpy):
        name = "notes"

        def conv_forward(self, spec: Any, x: Any, w: Any, b: Any) -> Any:
            seen.append(float(x.flat[0]))
            return super().conv_forward(spec, x, w, b)

    measurement = timing.Measurement(
        SMALL, [subjects.Ours(Notes())], "float32", 1, timing.Yardsticks(), ("forward",)
    )
    measurement.take(range(3), 0.01)
    assert len(set(seen)) == 3
