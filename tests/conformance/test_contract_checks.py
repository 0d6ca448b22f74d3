"""What a backend says of itself: wrong declarations and unsteady answers are failures."""

from __future__ import annotations

from typing import Any

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance


class ChangesItsMind(Im2colNumpy):
    name = "changes_its_mind"
    asked = 0

    def supports(self, spec: Any) -> str | None:
        self.asked += 1
        return f"asked {self.asked} times"


class WrongInfo(Im2colNumpy):
    name = "wrong_info"

    def info(self) -> Any:
        return "fast"


@pytest.mark.parametrize(
    ("wrong", "check"),
    [(ChangesItsMind, "supports"), (WrongInfo, "declarations")],
)
def test_it_is_found(wrong: type, check: str) -> None:
    chosen = {"checks": ["supports", "declarations"], "ops": ["max_pool"]}
    assert conformance.run(Im2colNumpy(), "quick", **chosen).ok
    report = conformance.run(wrong(), "quick", **chosen)
    assert check in report.failed_checks(), report.text("x")
