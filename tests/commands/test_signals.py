"""Signals that end a training."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from convkit.commands._signals import stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_is_an_interruption_with_the_shells_status(number):
    before = signal.getsignal(number)
    listening = before is not signal.SIG_IGN
    if not listening:
        signal.signal(number, signal.default_int_handler)
    try:
        with stopping() as signals:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
            assert signals.status == 128 + number
    finally:
        signal.signal(number, before)
    assert signal.getsignal(number) == before


def test_one_that_comes_while_files_are_written_is_heard_after_them():
    done = []

    def write(signals):
        with signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("written")

    with stopping() as signals:
        with pytest.raises(KeyboardInterrupt):
            write(signals)
        assert done == ["written"]
        with signals.held():  # nothing is left to be heard
            pass


def test_one_that_the_process_ignores_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_there_is_nothing_to_handle():
    found = []

    def work():
        with stopping() as signals:
            found.append(signals.status)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [130]
