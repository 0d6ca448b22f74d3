"""What a side's process answers, tried without a process, on networks of three images."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convkit.bench import networks, worker
from convkit.bench.worker import Answers, Ours, Torch


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(replace(network, batch=3) for network in networks.NETWORKS)
    monkeypatch.setattr(networks, "NETWORKS", few)
    monkeypatch.setattr(worker, "SAMPLE_SECONDS", 1e-4)


def _served(requests: list[Any], side: Any) -> list[Any]:
    answers = io.StringIO()
    worker.serve(io.StringIO("".join(json.dumps(r) + "\n" for r in requests)), answers, side)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


@pytest.mark.usefixtures("small")
def test_ours_has_a_step_inference_and_the_fused_network() -> None:
    requests = [["make", "autoencoder", "float64"], ["take"]]
    made, taken = _served(requests, lambda: Answers(Ours("im2col_numpy", 1)))
    first, second = made["answer"]["losses"]
    assert first > second
    assert len(made["answer"]["scores"]) == 20
    assert list(taken["answer"]) == ["step", "inference", "fused"]
    assert all(seconds > 0 for seconds in taken["answer"].values())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("who", worker.PEERS[:2])
def test_pytorch_answers_the_same(who: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    request = ["make", "conv2_bn", "float64"]
    (ours,) = _served([request], lambda: Answers(Ours("im2col_numpy", 1)))
    theirs, taken = _served([request, ["take"]], lambda: Answers(Torch(who, 1)))
    for what in ("losses", "scores"):
        np.testing.assert_allclose(theirs["answer"][what], ours["answer"][what], rtol=1e-6)
    assert list(taken["answer"]) == ["step", "inference"]


def test_what_goes_wrong_is_an_answer_and_the_next_request_is_served() -> None:
    def side() -> Any:
        raise OSError("no compiler\nand more")

    found = _served([["make", "conv2", "float32"]] * 2, side)
    assert found == [{"error": "no compiler", "kind": "OSError"}] * 2


@pytest.mark.usefixtures("small")
def test_another_way_of_inference_must_give_the_same_scores() -> None:
    class Wrong(Ours):
        def calls(self, network: networks.Network, dtype: str) -> Any:
            calls = super().calls(network, dtype)
            return {**calls, "fused": lambda: calls["fused"]() * 1.01}

    with pytest.raises(ArithmeticError, match=r"^fused gives other scores than inference$"):
        Answers(Wrong("im2col_numpy", 1)).make("conv2", "float32")
