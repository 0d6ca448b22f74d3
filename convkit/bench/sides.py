"""A process for each library that is timed: it sleeps while another one is asked.

Two libraries' threads in one process disturb each other: each keeps its own waiting, and some of
them spin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from convkit.bench.check import WrongAnswerError
from convkit.errors import ConvkitError

__all__ = ["Process", "started"]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Process:
    """One side."""

    def __init__(self, what: str, name: str, threads: int) -> None:
        self.name = name
        self._errors: Any = tempfile.TemporaryFile(  # noqa: SIM115 - until `close`
            "w+", encoding="utf-8", errors="replace"
        )
        path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, "PYTHONPATH": path}
        environment |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "convkit.bench.worker", what, name, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, encoding="utf-8", env=environment,
        )  # fmt: skip

    def ask(self, *request: Any) -> Any:
        """Return the answer.

        Raises ConvkitError where the side cannot, or the process has died, and WrongAnswerError
        where that is what the side found.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer tells
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = (self._errors.read().strip().splitlines() or ["nothing on its error output"])[-1]
            raise ConvkitError(f"{self.name}: its process ended ({self._process.wait()}): {last}")
        answer = json.loads(line)
        if answer.get("kind") == WrongAnswerError.__name__:
            raise WrongAnswerError(answer["error"])
        if "error" in answer:
            raise ConvkitError(f"{self.name}: {answer['kind']}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@contextmanager
def started(what: str, names: Sequence[str], threads: int) -> Iterator[dict[str, Process]]:
    """Yield a process for each side, and end them all; ``what`` they do, :mod:`.worker` knows."""
    with ExitStack() as stack:
        found = {}
        for name in names:
            found[name] = Process(what, name, threads)
            stack.callback(found[name].close)
        yield found
