"""The process of one side of a benchmark: it answers requests, and sleeps between them.

``python -m convkit.bench.worker WHAT WHO THREADS`` reads a line of JSON for each request and writes
one for each answer. WHAT is one of TASKS, and WHO a backend or one of PEERS. For networks a side
makes one (``["make", name, dtype]``), which says what it computes, and then takes samples
(``["take"]``); for layers see :mod:`convkit.bench.apart`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import IO, Any, Protocol, TypeAlias

import numpy as np

from convkit import registry
from convkit.bench import networks, torch_networks
from convkit.bench.machine import blas_threads
from convkit.training.optim import sgd_momentum

LEARNING_RATE, MOMENTUM = 1e-3, 0.9
SAMPLE_SECONDS = 0.1
PEERS = ("torch", "torch channels_last", "torch compile")
"""PyTorch as it is without a setting, with another layout of its arrays, and compiled."""

Calls: TypeAlias = Mapping[str, Callable[[], Any]]


class Side(Protocol):
    """convkit with a backend, or PyTorch."""

    def __init__(self, who: str, threads: int) -> None:
        """Set the threads."""

    def calls(self, network: networks.Network, dtype: str) -> Calls:
        """Return ``step``, which returns a loss, ``inference``, which returns scores, and more.

        What else there is is inference in another way, named so.
        """


class Ours:
    """convkit, called as a user calls it."""

    def __init__(self, who: str, threads: int) -> None:
        self.backend = who
        setter = getattr(registry.load(who).backend, "set_num_threads", None)
        if setter is not None:
            setter(threads)

    def calls(self, network: networks.Network, dtype: str) -> Calls:
        """A training step; inference as it is, and with normalisations folded into weights."""
        made = network.build(dtype, self.backend)
        images, labels = network.data(made)
        start = {"learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
        state: dict[str, Any] = dict.fromkeys(made.params, start)

        def step() -> float:
            loss, grads = made.loss(images, labels)
            for name, value in made.params.items():
                made.params[name], state[name] = sgd_momentum(value, grads[name], state[name])
            return float(loss)

        fused: list[Any] = []

        def folded() -> Any:
            if not fused:
                fused.append(made.fused())
            return fused[0].loss(images)

        return {"step": step, "inference": lambda: made.loss(images), "fused": folded}


class Torch:
    """PyTorch on the CPU, with its own modules and optimiser."""

    def __init__(self, who: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch: Any = torch
        self.variant = who.partition(" ")[2]

    def calls(self, network: networks.Network, dtype: str) -> Calls:
        """A training step, and inference."""
        torch: Any = self.torch
        ours = network.build(dtype)
        images, labels = (torch.from_numpy(a) for a in network.data(ours))
        model = torch_networks.module(torch, ours)
        if self.variant == "channels_last":
            images = images.to(memory_format=torch.channels_last)
            model = model.to(memory_format=torch.channels_last)
        if labels.dtype.is_floating_point:
            labels = images
        optimiser = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        criterion = torch_networks.loss_of(torch, ours)
        run = torch.compile(model) if self.variant == "compile" else model

        def step() -> float:
            model.train()
            optimiser.zero_grad()
            loss = criterion(run(images), labels)
            loss.backward()
            optimiser.step()
            return float(loss.detach())

        def inference() -> Any:
            model.eval()
            with torch.no_grad():
                return run(images).numpy()

        return {"step": step, "inference": inference}


class Answers:
    """What a process does for each request."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._calls: Calls = {}
        self._repeats: dict[str, int] = {}

    def make(self, name: str, dtype: str) -> dict[str, Any]:
        """Make a network; return what it computes, for a comparison with the other sides'.

        The scores come before a step, when running statistics are as they start. The second loss
        follows from the gradients.
        """
        (network,) = networks.chosen(name)
        self._calls = self.side.calls(network, dtype)
        scores = np.asarray(self._calls["inference"](), np.float64)
        losses = [self._calls["step"]() for _ in range(2)]
        self._agree(dtype)
        self._repeats = {}
        for direction, call in self._calls.items():
            call()
            self._repeats[direction] = max(1, int(SAMPLE_SECONDS / max(_seconds(call, 1), 1e-7)))
        return {"losses": losses, "scores": scores.reshape(-1)[:20].tolist()}

    def _agree(self, dtype: str) -> None:
        """Raise ArithmeticError where another way of inference gives other scores."""
        for direction, call in self._calls.items():
            if direction not in ("step", "inference"):
                wanted = self._calls["inference"]()
                tolerance = float(np.finfo(dtype).eps) ** 0.5 * np.abs(wanted).max()
                if not np.allclose(call(), wanted, rtol=0, atol=tolerance):
                    raise ArithmeticError(f"{direction} gives other scores than inference")

    def take(self) -> dict[str, float]:
        """Return the seconds of one call in each direction, after one that is not counted."""
        found = {}
        for direction, call in self._calls.items():
            call()
            found[direction] = _seconds(call, self._repeats[direction])
        return found


def _seconds(call: Callable[[], Any], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        call()
    return (perf_counter() - start) / times


def serve(requests: IO[str], answers: IO[str], make: Callable[[], Any]) -> None:
    """Answer each request by a method of what ``make`` returns; what goes wrong is an answer."""
    made: Any = None
    for line in requests:
        what, *rest = json.loads(line)
        try:
            made = make() if made is None else made
            answer = {"answer": getattr(made, what)(*rest)}
        except Exception as error:  # a side that cannot is left out, by the process that asks
            first = next(iter(str(error).splitlines()), "")
            answer = {"error": first, "kind": type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _networks(who: str, threads: int) -> Answers:
    return Answers((Torch if who in PEERS else Ours)(who, threads))


def _layers(who: str, threads: int) -> Any:
    from convkit.bench.apart import Layers

    return Layers(who, threads)


TASKS: dict[str, Callable[[str, int], Any]] = {"networks": _networks, "layers": _layers}


def main(what: str, who: str, threads: int) -> None:
    """Serve, with standard output kept for the answers: what a library prints is none."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with blas_threads(threads):
        serve(sys.stdin, answers, lambda: TASKS[what](who, threads))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
