"""SIGINT and SIGTERM end a training cleanly, and not while files are written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convkit.exit_status import EXIT_INTERRUPTED

__all__ = ["Signals", "stopping"]

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Raises KeyboardInterrupt for each signal, or after ``held()`` for those that came meanwhile.

    ``status`` is the exit status of the first one that came: 128 + its number, as shells have it.
    """

    def __init__(self) -> None:
        self.status = EXIT_INTERRUPTED
        self._seen = self._waiting = False
        self._held = 0

    def handle(self, number: int, _frame: Any) -> None:
        """Remember a signal, and raise KeyboardInterrupt now or later."""
        if not self._seen:
            self._seen, self.status = True, 128 + number
        if self._held:
            self._waiting = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is in the block end before a signal is heard."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._waiting and not self._held:
            self._waiting = False
            raise KeyboardInterrupt


@contextmanager
def stopping() -> Iterator[Signals]:
    """Handle both signals within the block; one that the process ignores stays ignored."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals  # Python hears signals in the main thread alone
        return
    heard = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signals.handle) for number in heard}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
