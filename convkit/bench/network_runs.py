"""Networks timed, each library in a process of its own which sleeps while another is asked.

Two libraries' threads in one process disturb each other: each keeps its own waiting, and some of
them spin. A figure is a median over rounds, in which the sides take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from time import sleep
from typing import Any

import numpy as np

from convkit.bench.check import WrongAnswerError
from convkit.bench.networks import Network
from convkit.bench.sides import Process, started
from convkit.bench.timing import PAUSE_SECONDS, Effort, rotated, summary
from convkit.bench.worker import PEERS
from convkit.errors import ConvkitError, ParameterError

PEER = PEERS[0]


@dataclass(frozen=True)
class Row:
    """Seconds of one side, a backend or one of PyTorch's, for one direction of a network."""

    network: str
    dtype: str
    threads: int
    subject: str
    direction: str
    seconds: float
    spread: float
    """Half the distance between the quartiles, as a share of the median."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class Found:
    """The rows of a run, and why a side was left out of one."""

    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def peers(vs: str | None, variants: bool) -> list[str]:
    """Return PyTorch's sides, as far as it is installed: itself, and with ``variants`` the others.

    Raises ParameterError where ``vs`` or ``variants`` want it and it is not there.
    """
    if find_spec("torch") is None:
        if vs is not None or variants:
            wanted = "vs (='torch')" if vs is not None else "variants"
            raise ParameterError(f"{wanted} needs PyTorch; install it with: pip install torch")
        return []
    return list(PEERS if variants else PEERS[:1])


def run(
    networks: Sequence[Network],
    subjects: Sequence[str],
    dtypes: Sequence[str],
    threads: int,
    effort: Effort,
    on_step: Callable[[str], None] | None = None,
) -> Found:
    """Time a training step and inference of each network with each side.

    ``subjects`` are backends and PEERS. A side that cannot is left out, and ``left_out`` says why.
    ``on_step`` is called with what was done. Raises WrongAnswerError where two sides compute
    different things, and ConvkitError where no side is left.
    """
    found = Found()
    samples: dict[tuple[str, str, str, str], list[float]] = {}
    with started("networks", subjects, threads) as processes:
        for sweep in range(effort.sweeps):
            for dtype in dtypes:
                for network in networks:
                    able = _made(network, dtype, processes, found.left_out)
                    for turn in effort.turns(sweep):
                        for name in rotated(able, turn):
                            sleep(PAUSE_SECONDS)
                            for direction, seconds in processes[name].ask("take").items():
                                key = network.name, dtype, name, direction
                                samples.setdefault(key, []).append(seconds)
                    if on_step:
                        on_step(f"{network.name} {dtype}")
    for (network_name, dtype, name, direction), taken in samples.items():
        middle, spread = summary(taken)
        found.rows.append(Row(network_name, dtype, threads, name, direction, middle, spread))
    return found


def _made(
    network: Network, dtype: str, processes: Mapping[str, Process], left_out: list[str]
) -> list[str]:
    """Let every side make a network; return the names of those that have one."""
    answers = {}
    for name, process in processes.items():
        try:
            answers[name] = process.ask("make", network.name, dtype)
        except ConvkitError as error:
            reason = f"{network.name} ({dtype}) without {error}"
            if reason not in left_out:
                left_out.append(reason)
    if not answers:
        raise ConvkitError(f"no side has {network.name} ({dtype}): {'; '.join(left_out)}")
    reject_wrong(network.name, dtype, answers)
    return list(answers)


def reject_wrong(network: str, dtype: str, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise unless all sides have the same first scores, losses and progress, to a few digits.

    A guard against timing different things, no proof. They are compared with PyTorch's, or with
    the first side's where it takes no part.
    """
    reference = PEER if PEER in answers else next(iter(answers))
    wanted = answers[reference]
    for name, got in answers.items():
        for what in ("scores", "losses"):
            theirs, ours = np.asarray(wanted[what]), np.asarray(got[what])
            size = float(np.abs(theirs).max())
            if not np.allclose(ours, theirs, rtol=0, atol=1e-3 * size):
                _refuse(network, dtype, name, reference, what, ours, theirs)
        ours, theirs = np.diff(got["losses"]), np.diff(wanted["losses"])
        rounding = float(np.finfo(dtype).eps) ** 0.5 * max(map(abs, wanted["losses"]))
        if not np.allclose(ours, theirs, rtol=0.02, atol=rounding):
            _refuse(network, dtype, name, reference, "change of the loss", ours, theirs)


def _refuse(
    network: str, dtype: str, name: str, reference: str, what: str, ours: Any, theirs: Any
) -> None:
    raise WrongAnswerError(
        f"{network} ({dtype}) is not timed: {name} and {reference} compute different {what}: "
        f"{ours[:3].tolist()} and {theirs[:3].tolist()}"
    )
