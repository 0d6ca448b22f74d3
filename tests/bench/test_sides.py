"""A side's process answers, says how it ended, and is ended with the others."""

from __future__ import annotations

import pytest

from convkit.bench import sides
from convkit.bench.sides import Process
from convkit.errors import ConvkitError

pytestmark = pytest.mark.long


def test_a_process_answers_and_says_how_it_ended() -> None:
    process = Process("networks", "no_such_backend", 1)
    with pytest.raises(ConvkitError, match=r"^no_such_backend: BackendNotFoundError: .*no_such"):
        process.ask("make", "conv2", "float32")
    process._process.terminate()
    with pytest.raises(ConvkitError, match=r"^no_such_backend: its process ended \(-15\): nothing"):
        process.ask("take")
    process.close()
    assert process._process.returncode is not None


def _interrupted(found: dict[str, Process]) -> None:
    with sides.started("layers", ["a", "b"], 1) as processes:
        found |= processes
        raise KeyboardInterrupt


def test_all_are_ended_whatever_happens() -> None:
    found: dict[str, Process] = {}
    with pytest.raises(KeyboardInterrupt):
        _interrupted(found)
    assert list(found) == ["a", "b"]
    assert all(process._process.returncode is not None for process in found.values())
